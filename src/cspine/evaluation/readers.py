"""Readers' own calls beside the system's, and both together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cspine.domain import Decision
from cspine.evaluation.ranking import Ranking
from cspine.evaluation.resampling import ratio, resampled
from cspine.evaluation.rows import VERTEBRA, Figure, Rows, Section, rows_of
from cspine.evaluation.scored import TARGETS, ScoredSet


@dataclass(frozen=True)
class ReaderCalls:
    """What one reader called.

    Attributes
    ----------
    calls
        By study: (8,) of study, C1 … C7; 1 a fracture, 0 none, ``None`` no call.
    """

    name: str
    calls: Mapping[str, tuple[int | None, ...]]


def reader_figures(scored: ScoredSet, readers: Sequence[ReaderCalls], weights_DS: np.ndarray) -> Iterator[Figure]:
    """Yield, for each reader, sensitivity and specificity of reader, system, and either, on what the reader called.

    "System" calls what it rules in; "either" is called when reader or system calls it. Differences are either − reader
    and, at the specificity of the reader, system − reader in sensitivity.
    """
    for reader in readers:
        nothing: tuple[int | None, ...] = (None,) * len(TARGETS)
        calls = [reader.calls.get(truth.uid, nothing) for truth in scored.truths]
        called_ST = np.array([[np.nan if c is None else c for c in own] for own in calls], dtype=float)
        for target in (TARGETS[0], VERTEBRA):
            columns = slice(0, 1) if target == TARGETS[0] else slice(1, None)
            rows = rows_of(scored, target, weights_DS)
            yield from _side_by_side(rows, called_ST[:, columns].ravel(), f"reader: {reader.name}")


def _side_by_side(rows: Rows, called: np.ndarray, group: str) -> Iterator[Figure]:
    known = ~np.isnan(called)
    fractured, intact = known & (rows.labels == 1), known & (rows.labels == 0)
    if not known.any():
        return
    reader, system = known & (called == 1), rows.said(Decision.RULE_IN)
    sides = {"reader": reader, "system": system, "either": reader | system}
    for name, said in sides.items():
        yield Figure(Section.READERS, f"sensitivity, {name}", rows.target, rows.share(said, fractured), group)
        yield Figure(Section.READERS, f"specificity, {name}", rows.target, rows.share(~said, intact), group)
    gains = (
        ("sensitivity, either − reader", sides["either"].astype(float) - reader, fractured),
        ("specificity, either − reader", reader.astype(float) - sides["either"], intact),
    )
    for name, gain, among in gains:
        estimate = resampled(ratio(gain * among, among), rows.weights, int(among.sum()))
        yield Figure(Section.READERS, name, rows.target, estimate, group)
    if not (fractured.any() and intact.any()):
        return

    def gap(weights: np.ndarray) -> np.ndarray:
        """Return the sensitivity of the scores at the reader's specificity, less the reader's own."""
        own = weights * known
        true = (own @ (reader & fractured)) / np.maximum(own @ fractured, 1e-12)
        spared = 1 - (own @ (reader & intact)) / np.maximum(own @ intact, 1e-12)
        ranking = Ranking(rows.labels, rows.probabilities)
        found = [float(ranking.sensitivity_at(float(s))(w[None])[0]) for s, w in zip(spared, own, strict=True)]
        above: np.ndarray = np.array(found) - true
        return above

    few = rows.weights[: min(300, len(rows.weights))]
    estimate = resampled(gap, few, int(known.sum()))
    yield Figure(
        Section.READERS, "sensitivity, system − reader at the reader's specificity", rows.target, estimate, group
    )
