"""An analyzer's answer, built from what is expected of it."""

from collections.abc import Mapping

import numpy as np

from cspine.domain import (
    CERVICAL,
    Analysis,
    Decision,
    Findings,
    Flag,
    Grid,
    LabelMap,
    Location,
    Vertebra,
    VertebraFinding,
)
from cspine.evaluation import Expectation, ExpectedFracture, ExpectedLevel


def told(
    of: Expectation, levels: Mapping[Vertebra, VertebraFinding] | None = None, flags: tuple[Flag, ...] = ()
) -> Analysis:
    """Return what an analyzer that knows the truth says.

    Parameters
    ----------
    levels
        What it says instead of the truth.
    """
    seen = {level.vertebra: level for level in of.levels}
    broken = {fracture.vertebra: fracture for fracture in of.fractures}
    wrong = levels or {}
    said = tuple(wrong.get(v) or true_finding(v, seen.get(v), broken.get(v)) for v in CERVICAL)
    whole = all(v in seen and seen[v].whole for v in CERVICAL)
    decision = Decision.RULE_IN if broken else Decision.RULE_OUT if whole else Decision.UNCERTAIN
    grid = Grid.from_axes((1, 1, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    findings = Findings(0.9, decision, said, flags, "0" * 64, "oracle", "tests")
    return Analysis(findings, LabelMap(grid, np.zeros(grid.shape, dtype=np.uint8)))


def true_finding(v: Vertebra, level: ExpectedLevel | None, fracture: ExpectedFracture | None) -> VertebraFinding:
    """Return what is true of a vertebra."""
    if level is None:
        return VertebraFinding(v, None, Decision.NOT_ASSESSED, 0.0)
    seen, center = level.visible_fraction, level.center_lps_mm
    if fracture is not None:
        places = (Location(0.9, None, fracture.box_lps_mm),)
        return VertebraFinding(v, 0.9, Decision.RULE_IN, seen, center_lps_mm=center, locations=places)
    decision = Decision.RULE_OUT if level.whole else Decision.UNCERTAIN
    return VertebraFinding(v, 0.05, decision, seen, center_lps_mm=center)
