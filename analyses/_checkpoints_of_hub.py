"""Checkpoints that are revisions of a model on the Hugging Face hub."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conceptscope.analyses._checkpoints_by_step import by_step, says_step
from conceptscope.hooks._hub import hub_is_out_of_reach

_REMEDY = "choose among them with revisions="


def revisions_by_step(name: str, wanted: Sequence[str] | None, load: dict[str, Any]) -> dict[int, str]:
    """For each step the revision of a model.

    wanted: some of the revisions; None is all whose name holds a step.
    load: the settings that load a model, of which token, cache_dir and local_files_only matter here.

    Raises:
        OSError: there is no such model, or the hub is out of reach and nothing is in the cache.
        TypeError: one string in place of a list.
        ValueError: revisions that do not exist, hold no step, or are of one step.
    """
    if isinstance(wanted, str):
        raise TypeError(f"revisions= takes a list of names, got one string: write [{wanted!r}]")
    known, where = _known(name, load)
    if wanted is None:
        steps = [one for one in known if says_step(one)]
        if not steps:
            raise ValueError(
                f"{name!r} has no revision that names a step {where} (there are {_listed(known)}): its "
                "training was not kept, or its names need revisions="
            )
        return by_step(steps, repr(name), _REMEDY)
    if not list(wanted):
        raise ValueError("revisions= holds no name: leave it out, and all that name a step are taken")
    for one in wanted:
        if one not in known:
            near = difflib.get_close_matches(one, known, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(f"{name!r} has no revision {one!r} {where}: {hint}there are {_listed(known)}")
    return by_step(wanted, repr(name), "name others in revisions=")


def _known(name: str, load: dict[str, Any]) -> tuple[list[str], str]:
    """The names of the revisions, and where they were looked for."""
    from huggingface_hub import constants

    if load.get("local_files_only") or constants.HF_HUB_OFFLINE or hub_is_out_of_reach():
        cached = _cached(name, load.get("cache_dir"))
        if not cached:
            raise OSError(
                f"there is no folder {name!r}, the Hugging Face hub is out of reach, and none of the model's "
                "revisions is in the local cache: check the name and the network, or use 'tinyworld'"
            )
        warnings.warn(
            f"the Hugging Face hub is not asked: of {name!r} only what is in the local cache is there",
            stacklevel=4,
        )
        return cached, "in the local cache"
    return _listed_by_hub(name, load.get("token")), "on the hub"


def _listed_by_hub(name: str, token: Any) -> list[str]:
    from huggingface_hub import HfApi

    try:
        refs = HfApi().list_repo_refs(name, token=token)
    except (OSError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise OSError(
            f"there is no folder {name!r}, and no such model to be had from the Hugging Face hub ({said}): "
            "check the name and the network, or use 'tinyworld', which is embedded"
        ) from error
    return [branch.name for branch in (*refs.branches, *refs.tags)]


def _cached(name: str, cache_dir: Any) -> list[str]:
    """The revisions whose files are in the local cache."""
    from huggingface_hub import constants

    home = Path(cache_dir or constants.HF_HUB_CACHE).expanduser() / f"models--{name.replace('/', '--')}"
    refs = home / "refs"
    return sorted(
        path.relative_to(refs).as_posix()
        for path in refs.rglob("*")
        if path.is_file() and (home / "snapshots" / path.read_text(encoding="utf-8").strip()).is_dir()
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 12 else f"{', '.join(names[:12])}, ... ({len(names)})"
