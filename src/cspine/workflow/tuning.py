"""Calibration, thresholds and operating point of a fracture stage, on phantom studies that run through the pipeline."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cspine.domain import CERVICAL, CspineError, OutOfScope, Vertebra, Volume, WorldBox
from cspine.evaluation import ErrorLevels, Triage, fit_triage
from cspine.phantom import Case
from cspine.pipeline import Analyzer, JudgedVertebra, LocalizeSpec, paint_labels, places_of
from cspine.stores import open_source

MAP_POINTS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


@dataclass(frozen=True, eq=False)
class TunedStudy:
    """One tuning study.

    Attributes
    ----------
    labels
        (8,) 0 or 1: study, C1 … C7, as the RSNA set counts.
    logits
        (7,) of the network, NaN where no vertebra of that name was judged or it was not seen whole.
    judged
        What the network said.
    boxes
        Of the true fractures of each level; ``None`` where nobody drew them.
    """

    labels: np.ndarray
    logits: np.ndarray
    judged: tuple[JudgedVertebra, ...]
    boxes: dict[Vertebra, tuple[WorldBox, ...]] | None


@dataclass(frozen=True)
class Tuned:
    """What was chosen.

    Attributes
    ----------
    point
        Operating point of the map: the one with the best F1 of places, a hit being a center inside a true box.
    points
        F1 at every point that was tried.
    """

    triage: Triage
    point: float
    points: dict[float, float]


def study_of(analyzer: Analyzer, case: Case) -> TunedStudy | None:
    """Run the pipeline on one phantom; ``None`` when it is refused."""
    counted = [truth for truth in case.truth.fractures if truth.counted]
    broken = {truth.vertebra for truth in counted}
    boxes: dict[Vertebra, tuple[WorldBox, ...]] = {}
    for truth in counted:
        if truth.vertebra is not None and truth.box_lps_mm is not None:
            boxes[truth.vertebra] = (*boxes.get(truth.vertebra, ()), truth.box_lps_mm)
    y = np.array([int(bool(broken)), *(int(v in broken) for v in CERVICAL)])
    return judged_study(analyzer, case.volume, y, boxes)


def judged_study(
    analyzer: Analyzer, volume: Volume, labels: np.ndarray, boxes: dict[Vertebra, tuple[WorldBox, ...]] | None
) -> TunedStudy | None:
    """Run the pipeline on a volume in any orientation; ``None`` when it is refused."""
    try:
        located = analyzer.locate(volume)
    except OutOfScope:
        return None
    judged = analyzer.judge(located, paint_labels(located.refined, located.volume.grid, analyzer.threads))
    whole = {r.vertebra for r in located.refined if r.visible_fraction >= analyzer.spec.refine.whole_fraction}
    logits = np.full(len(CERVICAL), np.nan)
    for one in judged:
        if one.vertebra in whole:
            logits[one.vertebra - Vertebra.C1] = one.logit
    return TunedStudy(labels, logits, tuple(judged), boxes)


def volumes_below(root: Path) -> Iterator[tuple[str, Volume]]:
    """Yield every readable scan below a folder of NIfTI files, except those of odd patient numbers."""
    for path in sorted(root.glob("*.nii.gz")):
        name = path.name.removesuffix(".nii.gz")
        digits = "".join(c for c in name if c.isdigit())
        if digits and int(digits) % 2:
            continue
        try:
            yield name, open_source(path).studies()[0].load().volume
        except CspineError:
            continue


def without_map(study: TunedStudy) -> TunedStudy:
    """Return a study that says nothing of places."""
    return replace(study, judged=(), boxes=None)


def unbroken_studies(analyzer: Analyzer, volumes: Iterable[Volume]) -> list[TunedStudy]:
    """Run the pipeline on scans without a fracture; refused ones are left out, and maps are not kept."""
    nothing = np.zeros(1 + len(CERVICAL), dtype=int)
    answers = (judged_study(analyzer, volume, nothing, {}) for volume in volumes)
    return [without_map(study) for study in answers if study is not None]


def spared_words(count: int) -> str:
    """Return what documents say of the scans without a fracture that limits of rule-in were raised for."""
    if not count:
        return ""
    return f"; limits of rule-in raised until none of {count} real scans without a reported fracture is called"


def tune(
    studies: Iterable[TunedStudy],
    localize: LocalizeSpec,
    chosen_on: str,
    errors: tuple[ErrorLevels, ErrorLevels],
    *,
    unbroken: Iterable[TunedStudy] = (),
) -> Tuned:
    """Choose everything on tuning studies.

    Parameters
    ----------
    errors
        Accepted shares of wrong answers, of vertebrae and of studies.
    unbroken
        Real scans without a fracture: limits of rule-in are raised until none of them is ruled in.
    """
    kept, spared = list(studies), [study.logits for study in unbroken]
    logits, labels = np.stack([s.logits for s in kept]), np.stack([s.labels for s in kept])
    whole = np.stack(spared) if spared else None
    level_errors, study_errors = errors
    triage = fit_triage(logits, labels, chosen_on, level_errors=level_errors, study_errors=study_errors, whole=whole)
    points = {point: _f1(kept, triage, localize, point) for point in MAP_POINTS}
    return Tuned(triage, max(points, key=lambda point: points[point]), points)


def _f1(studies: Sequence[TunedStudy], triage: Triage, localize: LocalizeSpec, point: float) -> float:
    """Return the F1 of the places of vertebrae more likely broken than not."""
    spec = replace(localize, map_threshold=point)
    hits = shown = wanted = 0
    for study in studies:
        if study.boxes is None:
            continue
        wanted += sum(len(boxes) for boxes in study.boxes.values())
        p = triage.calibration.probability(study.logits)
        for one in study.judged:
            if not p[one.vertebra - Vertebra.C1] >= 0.5:
                continue
            left = list(study.boxes.get(one.vertebra, ()))
            for place in places_of(one, spec, at_least_one=True):
                shown += 1
                hit = next((box for box in left if _inside(place.box_lps_mm.center_lps_mm, box)), None)
                if hit is not None:
                    hits += 1
                    left.remove(hit)
    return 2 * hits / max(1, shown + wanted)


def _inside(point_lps_mm: tuple[float, float, float], box: WorldBox) -> bool:
    spans = zip(box.min_lps_mm, point_lps_mm, box.max_lps_mm, strict=True)
    return all(low <= p <= high for low, p, high in spans)


__all__ = [
    "MAP_POINTS",
    "Tuned",
    "TunedStudy",
    "judged_study",
    "spared_words",
    "study_of",
    "tune",
    "unbroken_studies",
    "volumes_below",
    "without_map",
]
