"""The model card of a bundle that was trained on a user's studies."""

from collections.abc import Mapping
from typing import Any

CARD = """# {name} {version}

Research use only. Not a medical device. {origin}

Finds and names C1–C7, outlines them, says how much of each is in view, and judges each for fractures: a calibrated
probability, a decision (rule-in, uncertain, rule-out), where, which type, and what it might be instead.

- Studies: {studies} of {data}, {fractured} fractured, {boxed} with boxes, {masks} with masks; {left} left out.
- Vertebra stage: bundle {vertebrae}, adapted to the studies ({adapt} steps).
- Fracture stage: {begun}, then {steps} steps of {batch} crops of the studies, of {share:.0%} of
  the phantom persons, and of {generated} studies into which fractures were put.
- Calibration and thresholds: {{chosen_on}}.
- Figures: `evaluation/evaluation.html` of the run. Every study there was answered by the network of its fold, which has
  seen neither the study nor another of the same patient, and whose calibration was chosen on the other folds.
  The networks of this bundle were trained on all studies; it has no figures of its own until other studies test it.
- Made by `cspine train flagship`; seed {seed}.

Never assessed: ligaments, alignment and dislocation, cord, skull base, T1 and below, ribs.
"""
PHANTOM = "**The studies are computed phantoms: all figures are phantom figures.**"
REAL = "Types and mimics were learned from phantoms alone."


def flagship_card(said: Mapping[str, Any], *, phantom: bool) -> str:
    """Return the card; ``{chosen_on}`` is left for the name of the tuning set."""
    return CARD.format(**said, origin=PHANTOM if phantom else REAL)


__all__ = ["flagship_card"]
