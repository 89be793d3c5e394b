"""Builders: an analyzer that is told the truth, and coded studies as DICOM."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from cspine.dicom import LoadedSeries, StudyHeader, write_ct_series
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
    Vertebra,
    VertebraFinding,
    Volume,
    resample_labels,
)
from cspine.phantom import Case, PhantomSpec
from tests.models.coded import coded_case

SPACING_MM = (2.5, 1.5, 1.5)


class Oracle:
    """An analyzer that says what is true of one case, in whatever orientation the volume comes."""

    def __init__(self, labels: LabelMap, truth: GroundTruth) -> None:
        self._labels, self._truth = labels, truth

    def analyze(self, volume: Volume, progress: Callable[[str, float], None]) -> Analysis:
        progress("remember", 0.5)
        labels = LabelMap(volume.grid, resample_labels(self._labels.labels, self._labels.grid, volume.grid))
        known = {t.vertebra: t for t in self._truth.vertebrae}
        findings = [self._finding(v, known, labels) for v in CERVICAL]
        flags = (Flag(FlagCode.NO_FRACTURE_MODEL, "Fractures were not assessed: this is an oracle."),)
        progress("done", 1.0)
        said = Findings(None, Decision.NOT_ASSESSED, tuple(findings), flags, "0" * 64, "oracle", "tests")
        return Analysis(said, labels)

    def _finding(self, vertebra: Vertebra, known: dict, labels: LabelMap) -> VertebraFinding:
        if vertebra not in known:
            return VertebraFinding(vertebra, None, Decision.NOT_ASSESSED, 0.0, reason="not in view")
        box = Box.of_mask(labels.labels == vertebra)
        truth = known[vertebra]
        return VertebraFinding(
            vertebra,
            None,
            Decision.NOT_ASSESSED,
            truth.visible_fraction,
            reason="no fracture model",
            center_lps_mm=truth.center_lps_mm,
            box_lps_mm=None if box is None else labels.grid.box_to_world(box),
        )


def coded_series(top: Vertebra = Vertebra.C1, **changes: object) -> tuple[LoadedSeries, Oracle]:
    """Return a coded series as if it had been read, with changes, and the oracle that knows it."""
    volume, labels, truth = coded_case(top, spacing_mm=SPACING_MM)
    header = StudyHeader(study_instance_uid="2.25.1", series_instance_uid="2.25.2", is_phantom=True)
    values: dict = {"volume": volume, "header": header, "slices": (), "flags": (), "name": "coded"}
    return LoadedSeries(**(values | changes)), Oracle(labels, truth)


def coded_phantom(spec: PhantomSpec, threads: int = 1) -> Case:
    """Return a coded neck in place of a phantom, which takes half a minute of processor time."""
    volume, labels, truth = coded_case(spacing_mm=SPACING_MM)
    nothing = LabelMap(volume.grid, np.zeros(volume.grid.shape, np.uint8))
    return Case(volume, labels, truth, nothing, nothing)


def write_coded(folder: Path, study_uid: str, *, top: Vertebra = Vertebra.C1, series_uid: str | None = None) -> Path:
    """Write a coded neck as a DICOM study."""
    volume, _, _ = coded_case(top, spacing_mm=SPACING_MM)
    header = StudyHeader(
        study_instance_uid=study_uid,
        series_instance_uid=series_uid or f"{study_uid}.1",
        patient_name="Coded^Phantom",
        is_phantom=True,
    )
    write_ct_series(volume, folder, header=header)
    return folder


def write_slab(folder: Path, study_uid: str) -> Path:
    """Write a block of tissue without a vertebra as a DICOM study: readable, but no neck."""
    volume, labels, _ = coded_case(Vertebra.C3, Vertebra.C5, SPACING_MM)
    hu = np.where(labels.labels > 0, 0, volume.hu).astype(np.int16)
    header = StudyHeader(study_instance_uid=study_uid, series_instance_uid=f"{study_uid}.1", is_phantom=True)
    write_ct_series(Volume(volume.grid, hu), folder, header=header)
    return folder
