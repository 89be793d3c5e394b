"""Phantom studies on disk: what a scanner would send, and beside it what is true.

::

    root/plan.json                    what the folder holds
    root/studies/<name>/<n>.dcm       one study; or root/studies/<name>.nii.gz
    root/truth/<name>.json            specification, vertebrae in view, fractures
    root/truth/<name>-labels.nii.gz   C1 = 1 … T12 = 19

A study appears when it is complete, last of all its files, so a run that stopped goes on where it was.
"""

import errno
import json
import os
import shutil
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from enum import Enum, StrEnum
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from cspine.datasets.nifti import nifti_bytes
from cspine.dicom import Numbering, StoredAs, StudyHeader, Vendor, write_ct_series
from cspine.domain import ConfigError, FractureTruth, GroundTruth, MimicTruth, Rejected, WorldBox
from cspine.phantom import PROCEDURAL, Case, PhantomSpec, make_case, sample_spec

TRUTH_SCHEMA = "1.0"
PLAN_FILE = "plan.json"

Report = Callable[[str, float], None]


class Layout(StrEnum):
    """How the images of a study are stored."""

    DICOM = "dicom"
    NIFTI = "nifti"


def layout_named(name: str) -> Layout:
    """Return the layout of that name.

    Raises
    ------
    ConfigError
        There is none.
    """
    try:
        return Layout(name)
    except ValueError as error:
        raise ConfigError(f"unknown layout {name!r}; known are {', '.join(Layout)}") from error


@dataclass(frozen=True)
class PhantomPlan:
    """Which phantoms a folder holds; equal plans make equal bytes, whatever the number of workers.

    Attributes
    ----------
    anatomy
        ``"procedural"``, or a folder of meshes.
    matrix
        Rows and columns of every image, for small sets; ``None`` leaves them as a hospital has them.
    finest_mm
        Smallest distance of slices, for small sets.
    """

    studies: int
    seed: int
    anatomy: str = PROCEDURAL
    layout: Layout = Layout.DICOM
    matrix: int | None = None
    finest_mm: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.studies <= 100_000:
            raise ConfigError(f"studies is {self.studies}, must be 1 … 100000")
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}, must not be negative")
        if not 32 <= (self.matrix or 512) <= 2048:
            raise ConfigError(f"matrix is {self.matrix}, must be 32 … 2048")
        if not 0 <= self.finest_mm <= 5:
            raise ConfigError(f"finest_mm is {self.finest_mm}, must be 0 … 5")
        if self.anatomy != PROCEDURAL and not Path(self.anatomy).is_dir():
            raise ConfigError(f"anatomy {self.anatomy!r} is neither {PROCEDURAL!r} nor a folder of meshes")

    def name(self, number: int) -> str:
        """Return the name of a study, 0 being the first."""
        return f"phantom-{self.seed}-{number:05d}"

    def spec(self, number: int) -> PhantomSpec:
        """Return the specification of a study: a pure function of the plan and the number."""
        spec = sample_spec(self._rng(number, 0), anatomy=self.anatomy)
        scanner = spec.scanner
        spacing = max(self.finest_mm, scanner.spacing_mm)
        matrix = scanner.matrix if self.matrix is None else (self.matrix, self.matrix)
        thickness = max(spacing, scanner.thickness_mm)
        return replace(spec, scanner=replace(scanner, matrix=matrix, spacing_mm=spacing, thickness_mm=thickness))

    def storage(self, number: int) -> tuple[StoredAs, Vendor, Numbering]:
        """Return how the DICOM files of a study are written, as varied as in a hospital."""
        rng = self._rng(number, 1)
        stored = list(StoredAs)[int(rng.integers(len(StoredAs)))]
        vendor = list(Vendor)[int(rng.integers(len(Vendor)))]
        return stored, vendor, Numbering(first=int(rng.integers(0, 3)), backward=bool(rng.integers(2)))

    def _rng(self, number: int, stream: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(number, stream)))


def write_phantoms(plan: PhantomPlan, root: Path, report: Report, workers: int = 1, threads: int = 4) -> list[Path]:
    """Write the studies of a plan that are not there yet, and return the places of all.

    Parameters
    ----------
    report
        Called with the name of a finished study and the share that is done.
    workers, threads
        Processes, and threads of each.

    Raises
    ------
    ConfigError
        The folder holds something else, or a specification is impossible.
    StoreError
        The folder cannot be written, or the disk is full.
    """
    _claim(plan, root)
    places = [_place(plan, root, number) for number in range(plan.studies)]
    missing = [number for number, place in enumerate(places) if not place.exists()]
    stage = root / f".making-{os.getpid()}"
    try:
        stage.mkdir()
        _write_all(plan, missing, (root, stage), (workers, threads), report)
    except OSError as error:
        raise _refused(error, root) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return places


def truth_document(spec: PhantomSpec, truth: GroundTruth) -> dict[str, Any]:
    """Return what is true of a phantom as plain JSON values; an anatomy folder by its name only."""
    values: dict[str, Any] = json.loads(json.dumps(asdict(spec), default=_name_of))
    values["anatomy"] = Path(spec.anatomy).name
    return {
        "schema_version": TRUTH_SCHEMA,
        "spec": values,
        "vertebrae": [
            {
                "vertebra": v.vertebra.name,
                "center_lps_mm": list(v.center_lps_mm),
                "visible_fraction": v.visible_fraction,
            }
            for v in truth.vertebrae
        ],
        "fractures": [_fracture(fracture) for fracture in truth.fractures],
        "mimics": [_mimic(mimic) for mimic in truth.mimics],
    }


def phantom_header(name: str, spec: PhantomSpec) -> StudyHeader:
    """Return the header of a phantom series: marked as a phantom, no birth date, no date of study."""
    return StudyHeader(
        patient_name=f"Phantom^{name}",
        patient_id=name,
        patient_sex="F" if spec.female else "M",
        patient_age=f"{round(spec.age):03d}Y",
        study_description="CT cervical spine",
        series_description="Cervical spine, axial",
        slice_thickness_mm=spec.scanner.thickness_mm,
        is_phantom=True,
    )


def _claim(plan: PhantomPlan, root: Path) -> None:
    """Write the plan into an empty folder, or find it there."""
    content = json.dumps(asdict(plan) | {"anatomy": Path(plan.anatomy).name}, indent=2, sort_keys=True) + "\n"
    path = root / PLAN_FILE
    try:
        root.mkdir(parents=True, exist_ok=True)
        if path.exists():
            if path.read_text(encoding="utf-8") != content:
                raise ConfigError(f"{root}: holds phantoms of another plan ({PLAN_FILE} differs); use another folder")
        elif any(root.iterdir()):
            raise ConfigError(f"{root}: is not empty and holds no {PLAN_FILE}; use another folder")
        else:
            path.write_text(content, encoding="utf-8")
        for folder in ("studies", "truth"):
            (root / folder).mkdir(exist_ok=True)
    except OSError as error:
        raise _refused(error, root) from error


def _refused(error: OSError, root: Path) -> Rejected:
    reason = error.strerror or str(error)
    return Rejected(
        f"{root}: {reason}; finished studies stay, run again to go on", errno.errorcode.get(error.errno or 0, "")
    )


def _place(plan: PhantomPlan, root: Path, number: int) -> Path:
    suffix = ".nii.gz" if plan.layout is Layout.NIFTI else ""
    return root / "studies" / (plan.name(number) + suffix)


def _write_all(
    plan: PhantomPlan, missing: list[int], folders: tuple[Path, Path], power: tuple[int, int], report: Report
) -> None:
    done = plan.studies - len(missing)
    workers, threads = min(power[0], len(missing)), power[1]
    if workers <= 1:
        for number in missing:
            report(plan.name(number), done / plan.studies)
            _write_one(plan, number, folders, threads)
            done += 1
        return
    context = get_context("forkserver")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_die_on_interrupt) as pool:
        running = {pool.submit(_write_one, plan, number, folders, threads): number for number in missing}
        try:
            for future in as_completed(running):
                future.result()
                done += 1
                report(plan.name(running[future]), done / plan.studies)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _die_on_interrupt() -> None:
    """Let Ctrl-C end a worker without a word; the parent cleans up."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _write_one(plan: PhantomPlan, number: int, folders: tuple[Path, Path], threads: int) -> None:
    root, stage = folders
    name, spec, place = plan.name(number), plan.spec(number), _place(plan, root, number)
    case = make_case(spec, threads)
    if place.exists():
        raise Rejected(f"{place}: appeared while it was being made; is another run writing here?")
    made = stage / place.name
    if plan.layout is Layout.NIFTI:
        made.write_bytes(nifti_bytes(case.volume.grid, case.volume.hu))
    else:
        stored, vendor, numbering = plan.storage(number)
        header = phantom_header(name, spec)
        write_ct_series(
            case.volume, made, header=header, stored_as=stored, vendor=vendor, numbering=numbering, seed=spec.seed
        )
    _write_truth(stage, name, spec, case)
    for path in (f"{name}.json", f"{name}-labels.nii.gz"):
        (stage / path).replace(root / "truth" / path)
    made.replace(place)


def _write_truth(stage: Path, name: str, spec: PhantomSpec, case: Case) -> None:
    text = json.dumps(truth_document(spec, case.truth), indent=2) + "\n"
    (stage / f"{name}.json").write_text(text, encoding="utf-8")
    (stage / f"{name}-labels.nii.gz").write_bytes(nifti_bytes(case.labels.grid, case.labels.labels))


def _name_of(value: object) -> str:
    """Return the name of an enumeration member, the only value of a specification that JSON does not know."""
    if isinstance(value, Enum):
        return value.name.lower()
    raise TypeError(f"a phantom specification holds a {type(value).__name__}")


def _fracture(fracture: FractureTruth) -> dict[str, Any]:
    return {
        "type": fracture.type,
        "vertebra": fracture.vertebra.name if fracture.vertebra else None,
        "severity": fracture.severity,
        "age": fracture.age,
        "family": fracture.family,
        "counted": fracture.counted,
        "box_lps_mm": _corners(fracture.box_lps_mm),
    }


def _mimic(mimic: MimicTruth) -> dict[str, Any]:
    return {
        "kind": mimic.kind,
        "vertebra": mimic.vertebra.name if mimic.vertebra else None,
        "box_lps_mm": _corners(mimic.box_lps_mm),
    }


def _corners(box: WorldBox | None) -> list[list[float]] | None:
    return None if box is None else [list(box.min_lps_mm), list(box.max_lps_mm)]
