"""What is true of a phantom, as plain JSON values, and what its DICOM header says."""

import json
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Any

from cspine.datasets.rsna_layout import TRUTH
from cspine.dicom import StudyHeader
from cspine.domain import FractureTruth, GroundTruth, MimicTruth, Vertebra, VertebraTruth, WorldBox
from cspine.phantom import PhantomSpec

TRUTH_SCHEMA = "1.0"


def truth_document(spec: PhantomSpec | None, truth: GroundTruth) -> dict[str, Any]:
    """Return what is true of a phantom; an anatomy folder by its name only.

    Parameters
    ----------
    spec
        ``None`` when the case came from no specification.
    """
    return {
        "schema_version": TRUTH_SCHEMA,
        "spec": None if spec is None else spec_document(spec),
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


def spec_document(spec: PhantomSpec) -> dict[str, Any]:
    """Return a specification; an anatomy folder by its name only."""
    values: dict[str, Any] = json.loads(json.dumps(asdict(spec), default=_name_of))
    return values | {"anatomy": Path(spec.anatomy).name}


def read_stored_vertebrae(root: Path, uid: str) -> tuple[str, GroundTruth] | None:
    """Return what a study of a phantom set covers, such as ``"whole"``, and the truth about its vertebrae alone.

    ``None`` where the set says nothing of how the study was made.
    """
    path = root / TRUTH / f"{uid}.json"
    if not path.is_file():
        return None
    document = json.loads(path.read_text(encoding="utf-8"))
    if document.get("spec") is None:
        return None
    vertebrae = (
        VertebraTruth(Vertebra[v["vertebra"]], tuple(v["center_lps_mm"]), float(v["visible_fraction"]))
        for v in document["vertebrae"]
    )
    return document["spec"]["coverage"]["kind"], GroundTruth(tuple(vertebrae))


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


def _name_of(value: object) -> str:
    """Return the name of an enumeration member, the only value of a specification that JSON does not know."""
    if isinstance(value, Enum):
        return value.name.lower()
    raise TypeError(f"a phantom specification holds a {type(value).__name__}")


def _fracture(fracture: FractureTruth) -> dict[str, Any]:
    return {
        "type": fracture.type,
        "vertebra": _name(fracture.vertebra),
        "severity": fracture.severity,
        "age": fracture.age,
        "family": fracture.family,
        "counted": fracture.counted,
        "box_lps_mm": _corners(fracture.box_lps_mm),
    }


def _mimic(mimic: MimicTruth) -> dict[str, Any]:
    return {"kind": mimic.kind, "vertebra": _name(mimic.vertebra), "box_lps_mm": _corners(mimic.box_lps_mm)}


def _name(vertebra: Vertebra | None) -> str | None:
    return None if vertebra is None else vertebra.name


def _corners(box: WorldBox | None) -> list[list[float]] | None:
    return None if box is None else [list(box.min_lps_mm), list(box.max_lps_mm)]
