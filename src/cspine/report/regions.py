"""Outlines of places in the patient, and the check that those of a written SR lie where the findings say."""

from io import BytesIO

import numpy as np
import pydicom
from pydicom import Dataset

from cspine.dicom import LoadedSeries
from cspine.domain import Findings, RenderError, WorldBox
from cspine.report.locate import image_region
from cspine.report.place import LIMIT_MM


def box_outline_lps_mm(box: WorldBox) -> np.ndarray:
    """Return (5, 3): the closed outline of a box in the axial plane through its center."""
    (x0, y0, _), (x1, y1, _), z = box.min_lps_mm, box.max_lps_mm, box.center_lps_mm[2]
    return np.array([[x0, y0, z], [x1, y0, z], [x1, y1, z], [x0, y1, z], [x0, y0, z]], dtype=np.float64)


def check_regions(document: bytes, findings: Findings, source: LoadedSeries) -> None:
    """Check that a written SR has every place of the findings, where they are.

    Raises
    ------
    RenderError
        A place is missing, further than `LIMIT_MM` from the findings, or on another image than the source's.
    """
    items = list(_items(pydicom.dcmread(BytesIO(document))))
    places = [place for f in findings.vertebrae for place in f.locations]
    wanted = [box_outline_lps_mm(place.box_lps_mm) for place in places]
    written = [np.array(i.GraphicData, dtype=np.float64).reshape(-1, 3) for i in items if i.ValueType == "SCOORD3D"]
    for points in wanted:
        off = min((_distance(points, other) for other in written), default=np.inf)
        if off > LIMIT_MM:
            raise RenderError(f"SR of {source.name}: a place lies {off:.2f} mm off the findings; limit {LIMIT_MM} mm")
    drawn = [_drawn(item) for item in items if item.ValueType == "SCOORD"]
    for place in places:
        region = image_region(place.box_lps_mm, source)
        if region is not None and (region.image.sop_instance_uid, region.pixel_box) not in drawn:
            raise RenderError(f"SR of {source.name}: a region is not on image {region.image.sop_instance_uid}")


def _items(item: Dataset) -> list[Dataset]:
    below = [found for child in item.get("ContentSequence", ()) for found in (child, *_items(child))]
    return below


def _distance(points: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(points - other).max()) if points.shape == other.shape else np.inf


def _drawn(item: Dataset) -> tuple[str, tuple[int, int, int, int]]:
    """Return the image of a region, and its pixel box."""
    points = np.array(item.GraphicData, dtype=np.float64).reshape(-1, 2)
    (x, y), (right, bottom) = np.rint(points.min(axis=0)), np.rint(points.max(axis=0))
    image = item.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    return str(image), (int(x), int(y), int(right - x), int(bottom - y))
