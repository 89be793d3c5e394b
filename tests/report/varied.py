"""Small studies that differ in what results have to bear: orientation, storage, headers, findings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np

from cspine.dicom import LoadedSeries, SliceRef, Storage, StoredAs, Vendor, scan, to_volume, write_ct_images
from cspine.domain import (
    CERVICAL,
    Analysis,
    Box,
    Decision,
    Flag,
    FlagCode,
    Grid,
    LabelMap,
    Location,
    Vertebra,
    VertebraFinding,
    Volume,
)
from cspine.pipeline import Analyzer
from tests.models.coded import broken_case, coded_case, coded_fracture_bundle
from tests.report.builders import HEADER, analysis, box_round, coded_labels, coded_volume, finding

CENTER_LPS_MM = np.array([62.0, 66.0, -78.0])
# Extent of a whole neck along x, y, z, mm.
EXTENT_MM = np.array([116.0, 132.0, 144.0])
_AXIAL = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
_WHOLE = 0.999


@dataclass(frozen=True)
class Variant:
    """One study.

    Attributes
    ----------
    directions
        As `Grid.from_axes` takes them.
    along_z
        Part of the neck that is scanned, from its lower end 0 to its upper end 1.
    fractures
        Levels with two locations each.
    mapped
        Whether there is a fracture map that shows something.
    read
        Analyzed by the coded fracture bundle, whole and 1 mm fine; with fractures, C4 is broken.
    """

    name: str
    directions: np.ndarray = field(default_factory=lambda: _AXIAL)
    spacing_mm: tuple[float, float, float] = (4.0, 2.5, 2.5)
    along_z: tuple[float, float] = (0.0, 1.0)
    fractures: tuple[Vertebra, ...] = ()
    mapped: bool = False
    storage: Storage = field(default_factory=Storage)
    header: Mapping[str, str | None] = field(default_factory=dict)
    frames: bool = False
    resampled: bool = False
    flags: int = 0
    read: bool = False


@dataclass(frozen=True, eq=False)
class Made:
    """A study that was written, read again, and analyzed by someone who knows."""

    variant: Variant
    images: tuple[bytes, ...]
    result: Analysis
    source: LoadedSeries


def _turned(degrees: float, axis: int) -> np.ndarray:
    """Return axial directions turned about a world axis."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.eye(3)
    i, j = [k for k in range(3) if k != axis]
    turn[i, i], turn[i, j], turn[j, i], turn[j, j] = c, -s, s, c
    return _AXIAL @ turn.T


EIGHT = [np.diag(signs) @ _AXIAL for signs in product((1.0, -1.0), repeat=3)]
_V = Vertebra
VARIANTS: Sequence[Variant] = (
    *(
        Variant(f"orientation {k}", directions, fractures=(_V(1 + k % 7),) if k % 2 else (), mapped=k % 4 == 1)
        for k, directions in enumerate(EIGHT)
    ),
    *(
        Variant(f"made by {vendor}", fractures=broken, mapped=bool(broken), storage=Storage(how, vendor))
        for vendor, how, broken in (
            (Vendor.SIEMENS, (StoredAs.RAW,), (_V.C7,)),
            (Vendor.GE, (StoredAs.JPEG_LOSSLESS,), ()),
            (Vendor.PHILIPS, (StoredAs.RAW, StoredAs.JPEG_LOSSLESS), (_V.C1, _V.C3)),
            (Vendor.TOSHIBA, (StoredAs.RAW,), ()),
        )
    ),
    Variant("upper half", along_z=(0.45, 1.0), fractures=(_V.C2,)),
    Variant("lower half", along_z=(0.0, 0.5), storage=Storage(monochrome1=True)),
    Variant("read, negative", read=True),
    Variant("read, positive", read=True, fractures=(_V.C4,), mapped=True),
    Variant("sagittal slices", _AXIAL[[2, 0, 1]], fractures=(_V.C2,), mapped=True),
    Variant("turned by 11 degrees", _turned(11, 2), fractures=(_V.C5, _V.C6), mapped=True),
    Variant(
        "names of the world",
        header={"patient_name": "Yamada^Tarou=山田^太郎=やまだ^たろう", "study_description": "Hals für Übung"},
        frames=True,
        fractures=(_V.C6,),
    ),
    Variant("resampled, all flags", resampled=True, flags=len(FlagCode), fractures=(_V.C2, _V.C4), mapped=True),
)


def made(variant: Variant, number: int, folder: Path) -> Made:
    """Write a study into a folder, read it, and return it with what is true of it."""
    study = f"2.25.4242.{number}"
    header = replace(HEADER, study_instance_uid=study, series_instance_uid=f"{study}.1", **variant.header)
    paths = write_ct_images(_volume(variant, number), folder, variant.storage, header=header)
    source = to_volume(scan([folder]).studies[0].series[0])
    result = _read(source, folder.parent / "bundle") if variant.read else _result(variant, source)
    if variant.resampled:
        source = replace(source, slices=())
    if variant.frames:
        slices = [
            SliceRef("1.2.840.10008.5.1.4.1.1.2.1", f"{study}.1.1", None, k + 1, one.position_lps_mm)
            for k, one in enumerate(source.slices)
        ]
        source = replace(source, slices=tuple(slices))
    return Made(variant, tuple(path.read_bytes() for path in paths), result, source)


def _volume(variant: Variant, seed: int) -> Volume:
    if variant.read:
        return broken_case()[0] if variant.fractures else coded_case()[0]
    grid = _grid(variant)
    return coded_volume(grid, coded_labels(grid), seed)


def _read(source: LoadedSeries, bundle: Path) -> Analysis:
    return Analyzer(coded_fracture_bundle(bundle), threads=2).analyze(source.volume)


def _grid(variant: Variant) -> Grid:
    center, extent = CENTER_LPS_MM.copy(), EXTENT_MM.copy()
    low, high = variant.along_z
    center[2] += ((low + high) / 2 - 0.5) * EXTENT_MM[2]
    extent[2] *= high - low
    shape = [
        max(4, round(float(np.abs(d) @ extent) / s))
        for d, s in zip(variant.directions, variant.spacing_mm, strict=True)
    ]
    half = [(n - 1) / 2 * s for n, s in zip(shape, variant.spacing_mm, strict=True)]
    origin = center - np.asarray(half) @ variant.directions
    return Grid.from_axes(tuple(shape), variant.spacing_mm, tuple(origin.tolist()), variant.directions)


def _result(variant: Variant, source: LoadedSeries) -> Analysis:
    grid = source.volume.grid
    labels = LabelMap(grid, coded_labels(grid))
    levels = {v: _level(v, labels, v in variant.fractures) for v in CERVICAL}
    decisions = {level.decision for level in levels.values()}
    order = (Decision.RULE_IN, Decision.UNCERTAIN, Decision.NOT_ASSESSED, Decision.RULE_OUT)
    decision = next(one for one in order if one in decisions)
    probability = max((level.probability for level in levels.values() if level.probability is not None), default=None)
    flags = tuple(
        Flag(code, f"Tells of {code.value}: 12.5 mm.", (Vertebra.C3,)) for code in list(FlagCode)[: variant.flags]
    )
    study = {"decision": decision, "probability": probability, "flags": flags}
    if decision is Decision.NOT_ASSESSED:
        study["probability"] = None
    known = analysis(labels, changed=levels, **study)
    if not variant.mapped:
        return known
    hot = np.isin(labels.labels, variant.fractures).astype(np.float32) * 0.8
    return replace(known, fracture_map=Volume(grid, hot), map_threshold=0.4)


def _level(vertebra: Vertebra, labels: LabelMap, broken: bool) -> VertebraFinding:
    seen = _seen(vertebra, labels)
    if seen == 0 or Box.of_mask(labels.labels == vertebra) is None:
        return finding(
            vertebra, labels, probability=None, decision=Decision.NOT_ASSESSED, visible_fraction=0.0,
            reason="outside the scanned field", center_lps_mm=None, box_lps_mm=None,
        )  # fmt: skip
    if broken:
        places = (Location(0.9, "burst", box_round(vertebra, 6.0)), Location(0.4, None, box_round(vertebra, 3.0)))
        return finding(
            vertebra, labels, probability=0.93, decision=Decision.RULE_IN, visible_fraction=seen, locations=places
        )
    if seen < _WHOLE:
        reason = "not seen whole"
        return finding(
            vertebra, labels, probability=None, decision=Decision.NOT_ASSESSED, visible_fraction=seen, reason=reason
        )
    return finding(vertebra, labels)


def _seen(vertebra: Vertebra, labels: LabelMap) -> float:
    """Return the share of a level's volume that the grid holds."""
    whole = _whole_volumes_mm3()[vertebra]
    here = float((labels.labels == vertebra).sum() * np.prod(labels.grid.spacing_mm))
    return 1.0 if here > 0.93 * whole else round(here / whole, 2)


@cache
def _whole_volumes_mm3() -> dict[Vertebra, float]:
    grid = _grid(Variant("whole", spacing_mm=(4.0, 2.5, 2.5)))
    labels = coded_labels(grid)
    return {v: float((labels == v).sum() * np.prod(grid.spacing_mm)) for v in CERVICAL}
