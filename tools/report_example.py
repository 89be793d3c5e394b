"""Write the report of a phantom with its truth in the place of findings: what a report looks like, without a model.

::

    python tools/report_example.py OUT [--seed 5] [--fracture]
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from cspine import __version__
from cspine.dicom.header import LoadedSeries, StudyHeader
from cspine.domain import (
    CERVICAL,
    Analysis,
    Box,
    Decision,
    Findings,
    Flag,
    FlagCode,
    GroundTruth,
    LabelMap,
    Location,
    Vertebra,
    VertebraFinding,
    WorldBox,
)
from cspine.phantom import Case, make_case, sample_spec
from cspine.report import RENDERERS, file_name, render

NO_MODEL = "no fracture model in this bundle"


def example_case(seed: int) -> Case:
    """Return a phantom of a whole or a cut neck, as the seed has it."""
    return make_case(sample_spec(np.random.default_rng(seed)))


def example_series(case: Case) -> LoadedSeries:
    """Return the phantom as a series with an invented header and no image objects."""
    header = StudyHeader(
        patient_name="Phantom^Procedural",
        patient_id="PHANTOM-1",
        birth_date="19700101",
        accession_number="0001",
        study_date="20250101",
        study_description="CT cervical spine",
        series_number="2",
        series_description="Bone, axial",
        is_phantom=True,
    )
    return LoadedSeries(case.volume, header, (), (), "phantom")


def example_analysis(case: Case) -> Analysis:
    """Return an analysis that knows the truth about the vertebrae and says nothing about fractures."""
    levels = tuple(_finding(v, case.truth, case.labels) for v in CERVICAL)
    findings = Findings(
        probability=None,
        decision=Decision.NOT_ASSESSED,
        vertebrae=levels,
        flags=(Flag(FlagCode.NO_FRACTURE_MODEL, "The bundle holds no fracture model; vertebrae are named only."),),
        model_id="none: the truth of the phantom",
        model_name="truth",
        software=f"cspine {__version__}",
    )
    return Analysis(findings, case.labels)


def with_a_suspicion(analysis: Analysis, vertebra: Vertebra) -> Analysis:
    """Return the same analysis with a made-up suspected fracture in the front of one body."""
    found = analysis.findings
    levels = []
    for finding in found.vertebrae:
        if finding.vertebra != vertebra or finding.center_lps_mm is None:
            ruled_out = finding.visible_fraction >= 1
            decision = Decision.RULE_OUT if ruled_out else Decision.NOT_ASSESSED
            reason = None if ruled_out else finding.reason
            levels.append(replace(finding, decision=decision, probability=0.02 if ruled_out else None, reason=reason))
            continue
        x, y, z = finding.center_lps_mm
        box = WorldBox((x - 7, y - 10, z - 6), (x + 5, y - 1, z + 4))
        places = (Location(0.88, "teardrop", box),)
        levels.append(
            replace(finding, decision=Decision.RULE_IN, probability=0.88, reason="A made-up example.", locations=places)
        )
    changed = replace(found, decision=Decision.RULE_IN, probability=0.9, vertebrae=tuple(levels), flags=())
    return Analysis(changed, analysis.labels)


def _finding(vertebra: Vertebra, truth: GroundTruth, labels: LabelMap) -> VertebraFinding:
    known = {t.vertebra: t for t in truth.vertebrae}.get(vertebra)
    box = Box.of_mask(labels.labels == vertebra)
    if known is None or box is None:
        return VertebraFinding(vertebra, None, Decision.NOT_ASSESSED, 0.0, "outside the scanned field")
    return VertebraFinding(
        vertebra,
        None,
        Decision.NOT_ASSESSED,
        known.visible_fraction,
        NO_MODEL,
        known.center_lps_mm,
        labels.grid.box_to_world(box),
    )


def main() -> None:
    """Write every kind of document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--fracture", action="store_true", help="with a made-up suspected fracture of C5")
    options = parser.parse_args()
    case = example_case(options.seed)
    analysis, series = example_analysis(case), example_series(case)
    if options.fracture:
        analysis = with_a_suspicion(analysis, Vertebra.C5)
    options.out.mkdir(parents=True, exist_ok=True)
    for kind in RENDERERS:
        path = options.out / file_name(kind)
        path.write_bytes(render(analysis, series, kind, {}))
        print(path)


if __name__ == "__main__":
    main()
