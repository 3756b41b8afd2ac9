"""Interchange interventions: activations of another run take the place of those of this one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from conceptscope.hooks._activations import Activations
from conceptscope.hooks._interventions import Intervention
from conceptscope.hooks._positions import Position
from conceptscope.hooks._running import Where
from conceptscope.hooks._site import Site
from conceptscope.hooks._source_rows import SourceRows


def patch(
    source: Activations | Float[Tensor, example * d],
    site: Site | str | None = None,
    *,
    positions: Position | None = None,
    force: bool = False,
) -> Intervention:
    """An interchange intervention: activations become those of another run, the source.

    source: Activations, whose first example goes into the first prompt, the second into the second, and so
        on; or a tensor with one row an example (at "z" without a head: [example, head, d_head]). Where an
        example has one row, it goes to each of the selected tokens; where it has several (position="all"),
        each goes to the token with the same index, counted without special tokens.
    site: where it is put; may be left out if the activations are of one site. For many sites, one each:
        ``intervene(model, *(patch(acts, site) for site in acts))``.
    positions: by default those that the source was captured at ("all" is "prompt" here); a pattern must then
        match in the patched prompts too, as ``re.compile("happy|sad")`` does in both of a pair.
    force: allows activations of another model.

    Raises:
        KeyError: a site that was not captured.
        TypeError: something else than Activations or a tensor of floats.
        ValueError: a site or positions that must be said; several rows for one token; when the model runs, a
            prompt or a token that the source has no row for, or activations of another shape.

    Source: Vig et al., arXiv 2004.12265; Geiger et al., arXiv 2106.02997 (interchange interventions).

    >>> import conceptscope as cs
    >>> model, site = cs.load_model("tinyworld"), "resid_post.2"
    >>> clean = cs.capture(model, ["The dog was happy."], site, position="all")
    >>> with cs.intervene(model, cs.patch(clean)):
    ...     patched = cs.capture(model, ["The dog was angry."], site, position="all")
    >>> bool((patched[site] == clean[site]).all())
    True
    """
    rows = SourceRows.of(source, site, force=force)
    chosen = _positions(rows) if positions is None else positions
    return Intervention(rows.site, _Patch.of(rows), chosen, "patch")


def _positions(rows: SourceRows) -> Position:
    if rows.rule is None or rows.rule == "mean":
        raise ValueError(
            "the source does not say at which tokens it was captured: "
            "give positions, such as positions='last'"
        )
    return "prompt" if rows.rule == "all" else rows.rule


@dataclass(frozen=True, eq=False)
class _Patch:
    """Puts into the place of each row its counterpart: the same example's, and ``by_token`` the same token's.

    table: the number of each counterpart, -1 where there is none; one column if it is the same at all tokens.
    """

    source: SourceRows
    table: Int[Tensor, "example token"]
    by_token: bool
    model_name: str

    @classmethod
    def of(cls, rows: SourceRows) -> _Patch:
        """The patch with these rows.

        Raises:
            ValueError: several rows for one token.
        """
        one_each = len(rows.example) == rows.n_examples and rows.rule not in ("all", "prompt")
        by_token = rows.position is not None and not one_each
        token = rows.position if rows.position is not None and by_token else torch.zeros_like(rows.example)
        table = torch.full((rows.n_examples, int(token.max()) + 1), -1)
        table[rows.example, token] = torch.arange(len(token))
        crowded = rows.example.bincount() - (table >= 0).sum(1)
        if crowded.any():
            raise ValueError(
                f"example {int(crowded.argmax())} of the source has several rows for one token: "
                "give one for each example, or one for each of its tokens"
            )
        return cls(rows, table, by_token, rows.model_name)

    def __call__(self, x: Float[Tensor, row * d], where: Where) -> Float[Tensor, row * d]:
        """The counterparts.

        Raises:
            ValueError: a row that has none, or rows of another shape.
        """
        example, position = where.example.cpu(), where.position.cpu()
        token = position if self.by_token else torch.zeros_like(position)
        n_examples, n_tokens = self.table.shape
        known = (example < n_examples) & (token < n_tokens)
        found = torch.where(known, self.table[example.where(known, 0), token.where(known, 0)], -1)
        if (found < 0).any():
            first = int((found < 0).nonzero()[0])
            raise ValueError(self._missing(int(example[first]), int(position[first])))
        return self.source.like(found, x)

    def _missing(self, example: int, token: int) -> str:
        n = self.source.n_examples
        if example >= n:
            return f"example {example} has no counterpart: the source is of {n} example{'s' if n > 1 else ''}"
        return (
            f"token {token} of example {example} has no counterpart in the source: "
            "choose positions that both texts have, or give the source one row for each example"
        )
