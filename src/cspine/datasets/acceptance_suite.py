"""The fixed set of studies of an acceptance test, and writing it.

All are phantoms of one person, so that its bones are grown once: necks with known fractures, and necks without one that
are stored or scanned as badly as hospitals do it. Everything is written down here; nothing is drawn at random.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from cspine.datasets.acceptance_folder import (
    EXPECTED_FILE,
    STUDIES,
    expected_document,
    study_digest,
    study_entry,
)
from cspine.datasets.claimed_folder import ClaimedFolder, move_all
from cspine.datasets.jobs import Report, run_jobs
from cspine.datasets.phantom_truth import phantom_header
from cspine.dicom import Numbering, Storage, StoredAs, Vendor, derived_uid, write_atomically, write_ct_images
from cspine.domain import AxisOrder, FlagCode, GroundTruth, Vertebra, Volume
from cspine.evaluation import Expectation, ExpectedFracture, ExpectedLevel
from cspine.phantom import Case, Coverage, Field, Fracture, FractureType, PhantomSpec, Scanner, make_case

SUITE_VERSION = "2"
_ENTRIES = "entries"
_PARTS = (STUDIES, EXPECTED_FILE, _ENTRIES)

# Slices of 3 mm and pixels of 1.2 mm: enough to name levels, and made in seconds.
_COARSE = Scanner(field_of_view_mm=150.0, matrix=(128, 128), spacing_mm=3.0, thickness_mm=3.0, noise_hu=25.0)
_THICK = replace(_COARSE, spacing_mm=4.0, thickness_mm=5.0)
# Each slice begins one row before the last: the gantry is tilted by the angle whose tangent is pixel over spacing.
_TILTED = replace(_COARSE, field_of_view_mm=176.0, matrix=(160, 160), spacing_mm=4.0, thickness_mm=4.0)
_TILT_DEG = float(np.degrees(np.arctan(_TILTED.pixel_mm[0] / _TILTED.spacing_mm)))
_WIDEST_GAP_MM = 9.5  # a wider one is refused
_WHOLE = Coverage(top_mm=35.0)
_LOWER = Coverage(Field.LOWER_NECK, Vertebra.C4, 0.0, Vertebra.T2, 10.0)
_THORAX = Coverage(Field.FEW_LEVELS, Vertebra.T4, 0.0, Vertebra.T8, 0.0)
_PERSON = PhantomSpec(seed=20260101, scanner=_COARSE, coverage=_WHOLE)

# Fine enough to see what breaks; the field holds the spine and little else.
_FINE = Scanner(field_of_view_mm=130.0, matrix=(192, 192), spacing_mm=1.25, thickness_mm=1.25, noise_hu=30.0)
_SEVERITY = 4
_T, _V = FractureType, Vertebra
# Every type once; fractures of one neck lie two levels apart.
_FRACTURED: tuple[tuple[tuple[FractureType, Vertebra], ...], ...] = (
    ((_T.JEFFERSON, _V.C1), (_T.WEDGE, _V.C4), (_T.SPINOUS_PROCESS, _V.C7)),
    ((_T.C1_ANTERIOR_ARCH, _V.C1), (_T.LAMINA, _V.C4), (_T.BURST, _V.C6)),
    ((_T.C1_POSTERIOR_ARCH, _V.C1), (_T.FLEXION_TEARDROP, _V.C5), (_T.TRANSVERSE_PROCESS, _V.C7)),
    ((_T.LATERAL_MASS, _V.C1), (_T.FACET, _V.C4), (_T.SAGITTAL_SPLIT, _V.C6)),
    ((_T.DENS_I, _V.C2), (_T.PILLAR, _V.C4), (_T.CORONAL_SPLIT, _V.C6)),
    ((_T.DENS_II, _V.C2), (_T.UNCINATE, _V.C5), (_T.PEDICLE, _V.C7)),
    ((_T.DENS_III, _V.C2), (_T.FACET_SUBLUXATION, _V.C5)),
    ((_T.HANGMAN, _V.C2), (_T.PILLAR_SUBLUXATION, _V.C5)),
    ((_T.C2_BODY, _V.C2), (_T.EXTENSION_TEARDROP, _V.C4), (_T.TRANSDISCAL, _V.C6)),
)

StorageOf = Callable[[Case], Storage]


@dataclass(frozen=True)
class SuiteStudy:
    """One study of the suite.

    Attributes
    ----------
    name, title
        For files, and for people.
    storage
        How its images are stored, which may depend on where the vertebrae are.
    turned
        Whether rows, columns and slices run the other way: the patient lies on the face, feet first.
    flags, refused_as
        As in `Expectation`.
    """

    name: str
    title: str
    spec: PhantomSpec
    storage: StorageOf
    turned: bool = False
    flags: tuple[FlagCode, ...] = ()
    refused_as: tuple[str, ...] = ()


def acceptance_studies() -> tuple[SuiteStudy, ...]:
    """Return the studies of the suite, in the order of the table."""
    return (*_fractured_studies(), *_odd_studies())


def write_acceptance(
    root: Path, report: Report, workers: int = 1, threads: int = 4, *, overwrite: bool = False
) -> list[str]:
    """Write the acceptance suite, going on where an earlier run stopped, and return the names of its studies.

    Parameters
    ----------
    report, workers, threads, overwrite
        As in `write_phantoms`.

    Raises
    ------
    ConfigError
        The folder holds something else.
    StoreError
        The folder cannot be written, or the disk is full.
    """
    studies = acceptance_studies()
    folder = ClaimedFolder(root, {"acceptance_suite": SUITE_VERSION}, _PARTS)
    folder.claim(overwrite)
    missing = [study for study in studies if not (root / STUDIES / study.name).exists()]
    with folder.stage() as stage:
        jobs = [(s.name, partial(_write_numbered, s.name, root, stage, threads)) for s in missing]
        run_jobs(jobs, len(studies) - len(missing), workers, report)
        entries = [json.loads((root / _ENTRIES / f"{s.name}.json").read_text(encoding="utf-8")) for s in studies]
        text = json.dumps(expected_document(SUITE_VERSION, entries), indent=2) + "\n"
        write_atomically(root / EXPECTED_FILE, text.encode())
    return [study.name for study in studies]


def expectation(study: SuiteStudy, truth: GroundTruth) -> Expectation:
    """Return what must be said of a study, from what is true of it."""
    if study.refused_as:
        return Expectation(study.name, study.title, study.refused_as)
    levels = tuple(
        ExpectedLevel(v.vertebra, v.visible_fraction, v.center_lps_mm)
        for v in truth.vertebrae
        if v.vertebra.is_cervical
    )
    fractures = tuple(
        ExpectedFracture(f.vertebra, f.type, f.severity, f.box_lps_mm)
        for f in truth.fractures
        if f.vertebra is not None and f.box_lps_mm is not None and f.counted
    )
    return Expectation(study.name, study.title, (), study.flags, levels, fractures)


def _write_numbered(name: str, root: Path, stage: Path, threads: int) -> None:
    """Write the study of that name: a name goes to another process more easily than the study."""
    study = next(study for study in acceptance_studies() if study.name == name)
    case = make_case(study.spec, threads)
    images, entry = f"{STUDIES}/{name}", f"{_ENTRIES}/{name}.json"
    volume = _turned(case.volume) if study.turned else case.volume
    uid = derived_uid("acceptance", SUITE_VERSION, name)
    header = replace(phantom_header(name, study.spec), study_instance_uid=uid)
    write_ct_images(volume, stage / images, study.storage(case), header=header, seed=study.spec.seed)
    content = json.dumps(study_entry(expectation(study, case.truth), study_digest(stage / images)))
    write_atomically(stage / entry, content.encode())
    move_all(stage, root, [entry, images])


def _turned(volume: Volume) -> Volume:
    axes = AxisOrder((0, 1, 2), (True, True, True))
    return Volume(volume.grid.reordered(axes), np.ascontiguousarray(axes.apply(volume.hu)))


def _fractured_studies() -> tuple[SuiteStudy, ...]:
    studies = []
    for number, places in enumerate(_FRACTURED, 1):
        fractures = tuple(Fracture(kind, level, _SEVERITY, seed=number) for kind, level in places)
        title = "Fractures: " + ", ".join(f"{f.type.value} at {f.vertebra.name}" for f in fractures)
        spec = replace(_PERSON, scanner=_FINE, fractures=fractures)
        studies.append(SuiteStudy(f"fractures-{number}", title, spec, _plain))
    return tuple(studies)


def _odd_studies() -> tuple[SuiteStudy, ...]:
    tilted = replace(_TILTED, tilt_deg=-_TILT_DEG)
    return (
        SuiteStudy("plain", "A whole neck without a fracture", _PERSON, _plain),
        SuiteStudy("reversed", "The patient face down and feet first, slices from foot to head", _PERSON, _plain, True),
        SuiteStudy(
            "tilted",
            f"Gantry tilted by {_TILT_DEG:.0f}°",
            replace(_PERSON, scanner=tilted),
            _tilted,
            flags=(FlagCode.GANTRY_TILT,),
        ),
        SuiteStudy(
            "missing-slices", "Slices missing through C4", _PERSON, _gap_at_c4, flags=(FlagCode.MISSING_SLICES,)
        ),
        SuiteStudy(
            "thick-slices",
            f"Slices of {_THICK.thickness_mm:g} mm",
            replace(_PERSON, scanner=_THICK),
            _plain,
            flags=(FlagCode.THICK_SLICES,),
        ),
        SuiteStudy(
            "mixed-shapes",
            "The first slices have fewer rows; raw and JPEG Lossless",
            _PERSON,
            _mixed,
            flags=(FlagCode.MIXED_SHAPES,),
        ),
        SuiteStudy(
            "monochrome1",
            "Images marked to be shown inverted",
            _PERSON,
            _monochrome1,
            flags=(FlagCode.MONOCHROME1,),
        ),
        SuiteStudy(
            "partial-coverage",
            "Only from C4 downward",
            replace(_PERSON, coverage=_LOWER),
            _plain,
            flags=(FlagCode.PARTIAL_COVERAGE,),
        ),
        SuiteStudy(
            "wrong-body-part",
            "The thorax, although the header says cervical spine",
            replace(_PERSON, coverage=_THORAX),
            _plain,
            refused_as=("OutOfScope",),
        ),
    )


def _plain(case: Case) -> Storage:
    return Storage((StoredAs.RAW,), Vendor.SIEMENS)


def _tilted(case: Case) -> Storage:
    return Storage(vendor=Vendor.GE, row_step=-1)


def _gap_at_c4(case: Case) -> Storage:
    center = next(v.center_lps_mm for v in case.truth.vertebrae if v.vertebra is Vertebra.C4)
    first = int(case.volume.grid.to_index(np.array(center))[0])
    count = max(1, int(_WIDEST_GAP_MM / case.volume.grid.spacing_mm[0]) - 1)
    return Storage(vendor=Vendor.PHILIPS, left_out=range(first, first + count))


def _mixed(case: Case) -> Storage:
    slices, rows, _ = case.volume.grid.shape
    return Storage(
        (StoredAs.RAW, StoredAs.JPEG_LOSSLESS),
        Vendor.GE,
        Numbering(17, backward=True),
        trimmed=range(slices // 8),
        trimmed_rows=rows // 16,
    )


def _monochrome1(case: Case) -> Storage:
    return Storage((StoredAs.JPEG_LOSSLESS,), Vendor.TOSHIBA, monochrome1=True)
