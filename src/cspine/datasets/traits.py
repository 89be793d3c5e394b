"""What a study is like, in words that make parts of a set: scanner, scan and patient."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from cspine.dicom import Series
from cspine.domain import Volume

THICKNESS, SLICES, KERNEL, VENDOR, SEX, AGE = "slice thickness", "slices", "kernel", "vendor", "sex", "age"
NOISE, COVERAGE, MIMIC = "noise", "coverage", "mimic"
# As in the two groups of the publications on RSNA 2022.
SLICE_GROUP_LIMIT = 350
_SOFT_HU = (-20.0, 120.0)
_VENDORS = ("GE", "SIEMENS", "PHILIPS", "TOSHIBA", "CANON", "HITACHI", "CSPINE")
_APART = 3


def header_traits(series: Series) -> dict[str, str]:
    """Return the traits that headers give; what they do not say is left out."""
    header = series.header
    thickness = header.slice_thickness_mm or series.spacing_mm or None
    found = {
        THICKNESS: None if thickness is None else _step(thickness, (1.0, 2.0), "mm"),
        SLICES: f"≤ {SLICE_GROUP_LIMIT}" if len(series.images) <= SLICE_GROUP_LIMIT else f"> {SLICE_GROUP_LIMIT}",
        KERNEL: (header.kernel or "").split("\\")[0].strip() or None,
        VENDOR: _vendor(header.manufacturer),
        SEX: {"F": "female", "M": "male"}.get((header.patient_sex or "").strip().upper()),
        AGE: _age(header.patient_age),
    }
    return {name: value for name, value in found.items() if value is not None}


def phantom_traits(spec: Mapping[str, Any] | None, has_mimic: bool) -> dict[str, str]:
    """Return the traits that only the specification of a phantom knows; ``None`` for a case without one."""
    found = {MIMIC: "some" if has_mimic else "none"}
    if spec is not None:
        found[NOISE] = noise_group(float(spec["scanner"]["noise_hu"]))
        found[COVERAGE] = str(spec["coverage"]["kind"])
    return found


def noise_group(noise_hu: float) -> str:
    """Return the part that a noise belongs to."""
    return _step(noise_hu, (10.0, 20.0), "HU")


def measured_noise_hu(volume: Volume) -> float | None:
    """Return the noise of soft tissue, HU: the spread of voxels some pixels apart; ``None`` without soft tissue.

    Half the variance of differences along rows, by their median, so that edges do not count.
    """
    hu = volume.hu[:: max(1, volume.hu.shape[0] // 40)].astype(np.float32)
    a, b = hu[:, :, :-_APART], hu[:, :, _APART:]
    middle = (a + b) / 2
    soft = (middle > _SOFT_HU[0]) & (middle < _SOFT_HU[1])
    if soft.sum() < 100:
        return None
    return float(np.median(np.abs((a - b)[soft])) / 0.6745 / np.sqrt(2))


def _step(value: float, limits: tuple[float, float], unit: str) -> str:
    low, high = limits
    if value <= low:
        return f"≤ {low:g} {unit}"
    return f"{low:g}–{high:g} {unit}" if value <= high else f"> {high:g} {unit}"


def _vendor(manufacturer: str | None) -> str | None:
    text = (manufacturer or "").strip()
    return next((name for name in _VENDORS if text.upper().startswith(name)), text.split(" ")[0] or None)


def _age(age: str | None) -> str | None:
    """Return the part of a DICOM age string (AS: ``"044Y"``, ``"018M"``)."""
    text = (age or "").strip().upper()
    if len(text) < 2 or not text[:-1].isdigit() or text[-1] not in "YMWD":
        return None
    years = int(text[:-1]) if text[-1] == "Y" else 0
    for limit, name in ((18, "under 18"), (40, "18–39"), (65, "40–64")):
        if years < limit:
            return name
    return "65 and older"
