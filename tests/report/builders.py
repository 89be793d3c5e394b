"""A small neck of seven coded bones, and the series and analyses that reports are made of."""

from dataclasses import replace
from functools import cache

import numpy as np

from cspine.dicom.header import LoadedSeries, SliceRef, StudyHeader
from cspine.domain import (
    CERVICAL,
    Analysis,
    Box,
    Decision,
    Findings,
    Flag,
    FlagCode,
    Grid,
    LabelMap,
    Location,
    Vertebra,
    VertebraFinding,
    Volume,
    WorldBox,
)

SHAPE = (96, 112, 104)
SPACING = (1.6, 1.2, 1.2)
HEADER = StudyHeader(
    study_instance_uid="1.2.826.0.1.3680043.10.1",
    series_instance_uid="1.2.826.0.1.3680043.10.1.2",
    patient_name="Doe^Jane",
    patient_id="MRN-0042",
    birth_date="19800229",
    patient_sex="F",
    patient_age="044Y",
    accession_number="A123",
    study_date="20240305",
    study_time="101500",
    study_description="CT cervical spine",
    series_description="C-Spine 1.0 Br64 ax",
    series_number="3",
    kernel="Br64",
)


def centers_lps_mm() -> dict[Vertebra, tuple[float, float, float]]:
    """Return a gently lordotic, slightly tilted neck, C1 at the top."""
    rows = [(62 + 0.6 * k, 58.0 - 2.2 * k * (6 - k) / 6 + (10 if k == 0 else 0), -30.0 - 15.5 * k) for k in range(7)]
    return dict(zip(CERVICAL, rows, strict=True))


def coded_labels(grid: Grid, levels: tuple[Vertebra, ...] = CERVICAL) -> np.ndarray:
    """Return uint8 labels: a body, an arch and a spinous process for each level (C1: a ring)."""
    labels = np.zeros(grid.shape, dtype=np.uint8)
    points = grid.to_world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1))
    for vertebra in levels:
        x, y, z = np.moveaxis(points - np.array(centers_lps_mm()[vertebra]), -1, 0)
        flat = np.abs(z) < (4.5 if vertebra == Vertebra.C1 else 6)
        ring_y = y if vertebra == Vertebra.C1 else y - 16
        radius = np.hypot(x / 1.3, ring_y)
        arch = (np.abs(radius - 13) < 3) & flat
        body = (x / 10) ** 2 + (y / 8) ** 2 + (z / 7) ** 2 < 1
        spine = (np.abs(x) < 2.5) & (y > 28) & (y < 42) & (np.abs(z + 3) < 4)
        shape = arch if vertebra == Vertebra.C1 else arch | body | spine
        labels[shape & (labels == 0)] = vertebra
    return labels


def coded_volume(grid: Grid, labels: np.ndarray, seed: int = 7) -> Volume:
    """Return a neck in air: skin ellipse, bone where the labels are, noise."""
    points = grid.to_world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1))
    x, y, _ = np.moveaxis(points, -1, 0)
    inside = ((x - 62) / 55) ** 2 + ((y - 66) / 60) ** 2 < 1
    hu = np.where(inside, 50.0, -1000.0)
    hu[labels > 0] = 450
    hu += np.random.default_rng(seed).normal(0, 25, grid.shape)
    return Volume(grid, hu.astype(np.int16))


def default_grid() -> Grid:
    """Return axial slices, head first."""
    return Grid.from_axes(SHAPE, SPACING, (0.0, 0.0, 0.0))


def series(volume: Volume, header: StudyHeader = HEADER, flags: tuple[Flag, ...] = ()) -> LoadedSeries:
    """Return the volume with one image object for each slice."""
    return LoadedSeries(volume, header, slice_refs(volume.grid), flags, "1.2.826.0.1.3680043.10.1.2")


def slice_refs(grid: Grid) -> tuple[SliceRef, ...]:
    """Return image objects numbered from 101."""
    places = grid.to_world(np.array([(k, 0, 0) for k in range(grid.shape[0])])).tolist()
    return tuple(
        SliceRef("1.2.840.10008.5.1.4.1.1.2", f"1.2.826.0.1.3680043.10.9.{k}", 101 + k, None, (p[0], p[1], p[2]))
        for k, p in enumerate(places)
    )


def box_round(vertebra: Vertebra, half_mm: float) -> WorldBox:
    """Return a cube round the center of a level."""
    x, y, z = centers_lps_mm()[vertebra]
    return WorldBox((x - half_mm, y - half_mm, z - half_mm), (x + half_mm, y + half_mm, z + half_mm))


def finding(vertebra: Vertebra, labels: LabelMap, **changes: object) -> VertebraFinding:
    """Return a level that was seen whole and ruled out, with `changes`."""
    box = Box.of_mask(labels.labels == vertebra)
    seen = VertebraFinding(
        vertebra=vertebra,
        probability=0.01 * vertebra,
        decision=Decision.RULE_OUT,
        visible_fraction=1.0,
        center_lps_mm=centers_lps_mm()[vertebra] if box else None,
        box_lps_mm=labels.grid.box_to_world(box) if box else None,
    )
    return replace(seen, **changes)  # type: ignore[arg-type]  # the fields of a dataclass by name


def analysis(labels: LabelMap, *, changed: dict[Vertebra, VertebraFinding] | None = None, **study: object) -> Analysis:
    """Return an analysis that rules everything out, but for `changed` levels and `study` fields."""
    levels = tuple((changed or {}).get(v) or finding(v, labels) for v in CERVICAL)
    findings = Findings(
        probability=0.05,
        decision=Decision.RULE_OUT,
        vertebrae=levels,
        flags=(),
        model_id="3f2a9c41d07be68812aa3c0f9e55d1b4c6a7e8f90123456789abcdef01234567",
        model_name="cspine-vertebrae 1",
        software="cspine 0.1.0.dev0",
    )
    return Analysis(replace(findings, **study), labels)  # type: ignore[arg-type]  # as above


@cache
def ruled_out() -> tuple[Analysis, LoadedSeries]:
    """Return a whole neck without a finding."""
    grid = default_grid()
    labels = coded_labels(grid)
    return analysis(LabelMap(grid, labels)), series(coded_volume(grid, labels))


@cache
def ruled_in() -> tuple[Analysis, LoadedSeries]:
    """Return a whole neck with one location in C2 and two in C5."""
    grid = default_grid()
    labels = LabelMap(grid, coded_labels(grid))
    changed = {
        Vertebra.C2: finding(
            Vertebra.C2,
            labels,
            probability=0.62,
            decision=Decision.UNCERTAIN,
            locations=(Location(0.55, None, box_round(Vertebra.C2, 5.0)),),
            mimic="vascular channel",
            reason="The signal is weak.",
        ),
        Vertebra.C5: finding(
            Vertebra.C5,
            labels,
            probability=0.93,
            decision=Decision.RULE_IN,
            locations=(
                Location(0.91, "burst", box_round(Vertebra.C5, 6.0)),
                Location(0.4, "lamina", box_round(Vertebra.C5, 3.0)),
            ),
        ),
    }
    study = analysis(labels, changed=changed, probability=0.95, decision=Decision.RULE_IN)
    return study, series(coded_volume(grid, labels.labels))


@cache
def partial_neck() -> tuple[Analysis, LoadedSeries]:
    """Return a scan that ends in C5, without a fracture model."""
    grid = Grid.from_axes((60, *SHAPE[1:]), SPACING, (0.0, 0.0, 0.0))
    labels = LabelMap(grid, coded_labels(grid))
    reason = "no fracture model in this bundle"
    changed = {}
    for vertebra in CERVICAL:
        share = (1.0, 1.0, 1.0, 1.0, 0.62, 0.0, 0.0)[vertebra - 1]
        changed[vertebra] = finding(
            vertebra,
            labels,
            probability=None,
            decision=Decision.NOT_ASSESSED,
            visible_fraction=share,
            reason=reason if share else "outside the scanned field",
            center_lps_mm=centers_lps_mm()[vertebra] if share else None,
        )
    flags = (
        Flag(FlagCode.NO_FRACTURE_MODEL, "The bundle has no fracture model: no fracture probability is given."),
        Flag(
            FlagCode.PARTIAL_COVERAGE,
            "The scan ends within C5: 62 % of it is in the field; C6 and C7 are not.",
            (Vertebra.C5, Vertebra.C6, Vertebra.C7),
        ),
    )
    study = analysis(labels, changed=changed, probability=None, decision=Decision.NOT_ASSESSED, flags=flags)
    return study, series(coded_volume(grid, labels.labels))


@cache
def nothing_found() -> tuple[Analysis, LoadedSeries]:
    """Return a NIfTI (no header, no image objects) in which no level was seen."""
    grid = default_grid()
    labels = LabelMap(grid, np.zeros(grid.shape, dtype=np.uint8))
    missing = {
        v: finding(
            v,
            labels,
            probability=None,
            decision=Decision.NOT_ASSESSED,
            visible_fraction=0.0,
            reason="not found in this scan",
        )
        for v in CERVICAL
    }
    study = analysis(labels, changed=missing, probability=None, decision=Decision.NOT_ASSESSED)
    volume = coded_volume(grid, labels.labels)
    return study, LoadedSeries(volume, StudyHeader(), (), (), "neck.nii.gz")


@cache
def everything_flagged() -> tuple[Analysis, LoadedSeries]:
    """Return the longest report: every flag, every level explained, very long names."""
    study, source = ruled_in()
    flags = tuple(
        Flag(
            code,
            f"This sentence tells about {code.value} with a measured value of 12.5 mm at H 123 mm, and what was done.",
            (Vertebra.C3, Vertebra.C4),
        )
        for code in FlagCode
    )
    long = replace(
        HEADER,
        patient_name="Wolfeschlegelsteinhausenbergerdorff^Hubert Blaine Longbottom^Adolph Charles^Prof. Dr.^Senior",
        patient_id="0123456789" * 6,
        study_description="Polytrauma whole body with head, neck, chest, abdomen and pelvis " * 2,
        series_description="W" * 64,
        is_phantom=True,
    )
    reason = (
        "Metal streaks cross this level, and the name is uncertain because neither skull nor first rib is in the field."
    )
    levels = tuple(replace(f, reason=reason) for f in study.findings.vertebrae)
    findings = replace(study.findings, flags=flags, vertebrae=levels)
    return Analysis(findings, study.labels), replace(source, header=long)
