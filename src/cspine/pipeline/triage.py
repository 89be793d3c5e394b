"""From what the fracture network says to what is told: calibrated probability, decision, reason, places.

Decisions are taken on the network's own scores; the prevalence of the reader's patients moves probabilities alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cspine.domain import CERVICAL, BundleIncompatible, Decision, Flag, Location, Vertebra, Volume
from cspine.evaluation import TRAUMA_PREVALENCE, Triage, read_triage, study_decision
from cspine.pipeline.fracture import JudgedVertebra
from cspine.pipeline.localize import Place, places_of
from cspine.pipeline.spec import LocalizeSpec, UnlikeSpec
from cspine.pipeline.unlike import darkest_hu, doubts, unlike_flags


@dataclass(frozen=True)
class Told:
    """How a bundle's fracture scores are told.

    Attributes
    ----------
    triage
        Calibration and rules of the tuning set.
    types, mimics
        Class names of the heads, in channel order.
    prevalence
        Share of fractured studies among the reader's patients.
    unlike
        Limits beyond which a vertebra is not judged.
    """

    triage: Triage
    localize: LocalizeSpec
    types: tuple[str, ...]
    mimics: tuple[str, ...]
    prevalence: float = TRAUMA_PREVALENCE
    unlike: UnlikeSpec = field(default_factory=UnlikeSpec)


@dataclass(frozen=True)
class Verdict:
    """What is told of one vertebra; fields as in `VertebraFinding`."""

    probability: float | None
    decision: Decision
    reason: str | None
    locations: tuple[Location, ...] = ()
    mimic: str | None = None


@dataclass(frozen=True)
class Judgment:
    """What the fracture stage says of a study.

    Attributes
    ----------
    verdicts
        Of the vertebrae that were judged.
    coarse
        Why the resolution allows no negative, or ``None``.
    flags
        What of the scan is unlike what the networks were trained on.
    """

    verdicts: Mapping[Vertebra, Verdict]
    probability: float | None
    decision: Decision
    coarse: str | None
    flags: tuple[Flag, ...] = ()


def read_told(manifest_calibration: Mapping[str, Any], manifest_thresholds: Mapping[str, Any]) -> tuple[Triage, float]:
    """Return the triage of a bundle and the operating point of its fracture map.

    Raises
    ------
    BundleIncompatible
        A value is missing or impossible.
    """
    try:
        return read_triage(manifest_calibration), float(manifest_thresholds["map"])
    except (KeyError, TypeError, ValueError) as error:
        raise BundleIncompatible(
            f"manifest: calibration or thresholds of the fracture stage are missing or wrong ({error}); "
            "export the bundle again with this version"
        ) from error


def too_coarse(volume: Volume, spec: LocalizeSpec) -> str | None:
    """Return why the resolution of a canonical volume allows no decision, or ``None``."""
    slices, *pixels = volume.grid.spacing_mm
    most_slices, most_pixel = spec.coarsest_mm
    if slices <= most_slices and max(pixels) <= most_pixel:
        return None
    return (
        f"slices every {slices:.1f} mm, pixels of {max(pixels):.2f} mm; a decision needs at most {most_slices:.1f} mm "
        f"and {most_pixel:.2f} mm"
    )


def judgment_of(
    judged: Sequence[JudgedVertebra], seen: Mapping[Vertebra, float], told: Told, volume: Volume
) -> Judgment:
    """Return what is told of a study.

    Parameters
    ----------
    seen
        Visible fraction of every vertebra that was judged; of one that is not seen whole, no negative is told.
    """
    coarse = too_coarse(volume, told.localize)
    looks, darkest = {one.vertebra: one.look for one in judged}, darkest_hu(volume)
    unlike = doubts(looks, darkest, told.unlike)
    logits = np.full(len(CERVICAL), np.nan)
    for one in judged:
        if one.vertebra not in unlike:
            logits[one.vertebra - Vertebra.C1] = one.logit
    answer = told.triage.answer(logits, told.prevalence)
    verdicts = {}
    for one in judged:
        index = one.vertebra - Vertebra.C1
        if one.vertebra in unlike:
            verdicts[one.vertebra] = Verdict(None, Decision.NOT_ASSESSED, unlike[one.vertebra])
            continue
        decision, reason = _withheld(answer.level_decisions[index], seen[one.vertebra], coarse)
        verdicts[one.vertebra] = _verdict(one, answer.levels[index], (decision, reason), told)
    by_score = Decision.UNCERTAIN if coarse else answer.study_decision
    levels = tuple(verdicts[v].decision if v in verdicts else Decision.NOT_ASSESSED for v in CERVICAL)
    if by_score is Decision.RULE_IN and Decision.RULE_IN not in levels:
        by_score = Decision.UNCERTAIN  # no vertebra is named: the reader could not check it
    decision = study_decision(by_score, levels)
    probability = None if decision is Decision.NOT_ASSESSED else answer.study
    return Judgment(verdicts, probability, decision, coarse, unlike_flags(looks, darkest, told.unlike))


def _withheld(decision: Decision, fraction: float, coarse: str | None) -> tuple[Decision, str | None]:
    """Return the decision without what nobody can tell, and why: limits hold for scans that are fine enough."""
    cut = None if fraction >= 1 else f"cut by the edge of the scan, {fraction:.0%} in view"
    if decision is Decision.RULE_OUT and cut:
        return Decision.NOT_ASSESSED, f"{cut}; no sign of a fracture in that part, which says nothing of the rest"
    if decision is not Decision.NOT_ASSESSED and coarse:
        return Decision.UNCERTAIN, "; ".join(part for part in (cut, f"resolution: {coarse}") if part)
    if decision is Decision.UNCERTAIN:
        between = "the score lies between the limits of rule-out and rule-in"
        return decision, "; ".join(part for part in (cut, between) if part)
    return decision, cut


def _verdict(
    one: JudgedVertebra, probability: float | None, decided: tuple[Decision, str | None], told: Told
) -> Verdict:
    decision, reason = decided
    if probability is None or decision is Decision.NOT_ASSESSED:
        return Verdict(None, Decision.NOT_ASSESSED, reason)
    mimic = _named(one.mimics, told.mimics, told.localize.named_mimic)
    if decision is Decision.RULE_OUT:
        return Verdict(probability, decision, reason, mimic=mimic)
    places = places_of(one, told.localize, at_least_one=decision is Decision.RULE_IN)
    kind = _named(one.types, told.types, told.localize.named_type)
    return Verdict(probability, decision, reason, _locations(places, probability, kind), mimic)


def _named(probabilities: np.ndarray, names: tuple[str, ...], least: float) -> str | None:
    if not names:
        return None
    best = int(np.argmax(probabilities))
    return names[best] if probabilities[best] >= least else None


def _locations(places: tuple[Place, ...], probability: float, kind: str | None) -> tuple[Location, ...]:
    """Return the places as findings: the strongest is as likely as the vertebra, and the type is suggested for it."""
    top = places[0].strength if places else 1.0
    return tuple(
        Location(probability * place.strength / top, kind if k == 0 else None, place.box_lps_mm)
        for k, place in enumerate(places)
    )


__all__ = ["Judgment", "Told", "Verdict", "judgment_of", "read_told", "too_coarse"]
