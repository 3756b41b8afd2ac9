"""Probes at every site, held out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, overload

import numpy as np
import torch
from jaxtyping import Float, Int

from conceptscope.hooks import Activations, Site
from conceptscope.hooks._activations import check_activations
from conceptscope.hooks._random import numpy_generator, torch_generator
from conceptscope.probes._concept import Concept
from conceptscope.probes._extractor import Extractor, ValueExtractor, check_extractor
from conceptscope.probes._fits import fit_many
from conceptscope.probes._fold_scores import FoldScores
from conceptscope.probes._folded import FitsFolds, Folded
from conceptscope.probes._held_out import HeldOut, predicted
from conceptscope.probes._label_sets import LabelSets
from conceptscope.probes._labelled import Labelled
from conceptscope.probes._permutations import Permutations
from conceptscope.probes._probe_sweep import ProbeSweep, SiteScore
from conceptscope.probes._random_accuracy import RandomAccuracy
from conceptscope.probes._random_directions import RandomDirections
from conceptscope.probes._shares import measure
from conceptscope.probes._sweep_values import sweep_values
from conceptscope.probes._value_sweep import ValueSweep


@overload
def sweep(  # type: ignore[overload-overlap]
    activations: Activations,
    extractor: ValueExtractor,
    *,
    folds: int = 5,
    controls: bool = True,
    generator: int | torch.Generator = 0,
) -> ValueSweep: ...


@overload
def sweep(
    activations: Activations,
    extractor: Extractor,
    *,
    folds: int = 5,
    controls: bool = True,
    permutations: int = 0,
    types: Sequence[Any] | None = None,
    generator: int | torch.Generator = 0,
) -> ProbeSweep: ...


def sweep(
    activations: Activations,
    extractor: Extractor,
    *,
    folds: int = 5,
    controls: bool = True,
    permutations: int = 0,
    types: Sequence[Any] | None = None,
    generator: int | torch.Generator = 0,
) -> ProbeSweep | ValueSweep:
    """Cross-validated accuracy and AUROC of a concept at every site, with intervals and controls.

    Rows that share a group, a pair or an example are held out together. Accuracies pool the held-out
    predictions; AUROC compares rows within a fold, and with many classes each class with the rest, averaged.
    Controls: the same probe on shuffled labels (at most ten times, fewer for many examples), and random
    directions with the activations' covariance (20 draws). All sites share the folds and the shuffled labels.

    permutations: how many times labels are shuffled for a p-value of each site's AUROC, also corrected for
    the choice among sites (by the greatest AUROC of each shuffle); 200 give p-values down to .005.
    types: for a control task, each row's type (the word that is probed, say): every type gets a label at
    random, and selectivity is then the accuracy minus that on these labels, which only memory can reach
    (the mean of five such tasks).

    An extractor for labels that are numbers (`Ridge`, `PairwiseValues`) gets a `ValueSweep`: R squared and
    rank correlation in place of accuracy and AUROC, without permutations and types.

    Activations in a store may be larger than memory. `MeanDifference`, `LinearDiscriminant`, `Leace` and
    `PrincipalDirection` read a block of rows at a time: what stays are sums, one d x d matrix for each fold
    where they need one, and a few numbers for each row and set of labels. All other extractors take one site
    at a time into memory.

    Raises:
        TypeError: what holds no activations, or is no extractor.
        ValueError: no labels, one class, a class in fewer groups than there are folds, one group that spans
            everything, types that do not recur, permutations or types where numbers are predicted, or
            activations that are NaN, infinite or the same in every row.

    Source: Hewitt and Liang, arXiv 1909.03368 (control tasks, selectivity); Westfall and Young 1993
    (correction by the greatest statistic).
    """
    check_activations(activations)
    check_extractor(extractor)
    if getattr(extractor, "continuous", False):
        if permutations or types is not None:
            raise ValueError(f"{extractor!r} predicts numbers: leave permutations and types out")
        return sweep_values(activations, extractor, folds=folds, controls=controls, generator=generator)
    state = torch_generator(generator).get_state()
    if not isinstance(extractor, FitsFolds):
        for site in activations.sites:
            Labelled.of(activations, site).check()
    sets = LabelSets.draw(
        activations,
        folds,
        controls=controls,
        permutations=permutations,
        types=types,
        rng=numpy_generator(generator),
    )
    found = [_at(activations, site, extractor, sets, controls) for site in activations.sites]
    measured = [at.score for at in found]
    if permutations:
        measured = Permutations.of(sets, [at.held_out for at in found]).corrected(measured)
    own = {at.score.site: at.held_out[0] for at in found}
    scale = {at.score.site: at.scale for at in found}
    return ProbeSweep(
        scores=tuple(measured),
        concepts={at.concept.site: at.concept for at in found},
        extractor=extractor,
        held_out=HeldOut(own, scale, sets.codes, sets.classes, sets.cluster, sets.fold),
        generator_state=state,
    )


class _AtSite(NamedTuple):
    """What was measured, the held-out scores of each set of labels, and what belongs to the true ones."""

    score: SiteScore
    held_out: list[Float[np.ndarray, "example k"]]
    scale: Float[np.ndarray, " fold"]
    concept: Concept


def _at(
    activations: Activations, site: Site, extractor: Extractor, sets: LabelSets, controls: bool
) -> _AtSite:
    data = Labelled.of(activations, site)
    n_classes = len(sets.classes)
    random = RandomDirections(sets.seed, 1 if n_classes == 2 else n_classes) if controls else None
    codes, fold = torch.from_numpy(sets.all), torch.from_numpy(sets.fold)
    if isinstance(extractor, FitsFolds):
        folded = Folded.without_each(data, codes, n_classes, fold, random)
        held_out, scale, concept, right = _by_blocks(extractor, folded)
    else:
        folded = Folded.without_each(data, codes[:1], n_classes, fold, random)
        held_out, scale, concept, right = _at_once(extractor, folded, sets)
    accuracy = {"shuffled": float("nan"), "random_direction": right, "control_task": float("nan")}
    if controls:
        accuracy["shuffled"] = _mean_right(held_out[1:], sets.shuffled)
    if sets.control_tasks:
        accuracy["control_task"] = _mean_right(held_out[1 + len(sets.shuffled) :], sets.control_tasks)
    return _AtSite(_score(data.site, held_out[0], sets, accuracy), held_out, scale, concept)


class _Found(NamedTuple):
    """The held-out scores of each set of labels, their unit, the concept of all rows, and a control."""

    held_out: list[Float[np.ndarray, "example k"]]
    scale: Float[np.ndarray, " fold"]
    concept: Concept
    random_direction: float


def _by_blocks(extractor: FitsFolds, folded: Folded) -> _Found:
    """Fits from sums over the rows, of which one block is in memory at a time."""
    scores = FoldScores(extractor, folded, extractor.fit_folds(folded))
    right = _read_again(folded, scores)
    scale, values = scores.scale[:-1], scores.values
    values[0] /= scale[folded.part][:, None]
    return _Found(list(values.cpu().numpy()), scale.cpu().numpy(), scores.concept(), right)


def _at_once(extractor: Extractor, folded: Folded, sets: LabelSets) -> _Found:
    """Fits by an extractor that wants all rows of the site."""
    problems = sets.problems()
    fits = fit_many(extractor, folded.data, problems)
    held_out, scale = sets.held_out(fits.scores.values), fits.scores.scale[: sets.folds].cpu().numpy()
    return _Found(held_out, scale, fits.concept(len(problems) - 1), _read_again(folded))


def _read_again(folded: Folded, *readers: FoldScores) -> float:
    """Give each block of the rows to the readers; the accuracy along random directions, if wanted."""
    directions = folded.sums.directions
    random = None if directions is None else RandomAccuracy(folded, directions)
    for rows, x in folded.data.blocks():
        for reader in (*readers, random):
            if reader:
                reader.see(rows, x)
    return random.value if random else float("nan")


def _mean_right(
    held_out: Sequence[Float[np.ndarray, "example k"]], labels: Sequence[Int[np.ndarray, " example"]]
) -> float:
    """The accuracy on sets of labels, of which there may be fewer than of scores."""
    pairs = zip(held_out, labels, strict=False)
    return float(np.mean([(predicted(scores) == codes).mean() for scores, codes in pairs]))


def _score(
    site: Site, scores: Float[np.ndarray, "example k"], sets: LabelSets, controls: dict[str, float]
) -> SiteScore:
    accuracy, auroc = measure(scores, sets.codes, sets.cluster, sets.fold)
    return SiteScore(
        site,
        *accuracy.bounds(sets.cluster, sets.folds),
        *auroc.bounds(sets.cluster, sets.folds),
        **controls,
    )
