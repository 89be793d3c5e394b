"""Multi-frame CT: one image per frame, from the shared and per-frame functional groups (PS3.3 C.7.6.16)."""

import math
from dataclasses import replace

from pydicom import Dataset

from cspine.dicom.images import Image

MULTI_FRAME_CT = frozenset(
    (
        "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT Image Storage
        "1.2.840.10008.5.1.4.1.1.2.2",  # Legacy Converted Enhanced CT Image Storage
    )
)
# More frames than this are not expanded: the series is refused by its count anyway.
FRAME_LIMIT = 20_000


def frames_of(dataset: Dataset, whole: Image) -> list[Image]:
    """Return one image per frame.

    Parameters
    ----------
    dataset
        The multi-frame object without its pixels.
    whole
        The object as if it were one image; what a frame does not say itself stays as it is here.

    Raises
    ------
    ValueError
        The number of per-frame items differs from NumberOfFrames, or exceeds `FRAME_LIMIT`.
    """
    items = dataset.get("PerFrameFunctionalGroupsSequence") or []
    if len(items) != whole.kind.frames or len(items) > FRAME_LIMIT:
        raise ValueError(
            f"{len(items)} per-frame groups for {whole.kind.frames} frames (at most {FRAME_LIMIT} are read)"
        )
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    return [_frame(whole, _Groups(item, shared), index) for index, item in enumerate(items)]


class _Groups:
    """The functional groups that hold for one frame: its own first, then the shared ones."""

    def __init__(self, own: Dataset, shared: Dataset):
        self.own, self.shared = own, shared

    def value(self, group: str, keyword: str) -> object:
        for source in (self.own, self.shared):
            items = source.get(group)
            if items:
                return items[0].get(keyword)
        return None

    def text(self, group: str, keyword: str) -> str:
        value = self.value(group, keyword)
        return "" if value is None else str(value).strip()

    def numbers(self, group: str, keyword: str, count: int) -> tuple[float, ...] | None:
        value = self.value(group, keyword)
        if value is None:
            return None
        parts = tuple(float(part) for part in (value if count > 1 else [value]))  # type: ignore[attr-defined]  # DS by definition of the keyword
        return parts if len(parts) == count and all(map(math.isfinite, parts)) else None


def _frame(whole: Image, groups: _Groups, index: int) -> Image:
    position = groups.numbers("PlanePositionSequence", "ImagePositionPatient", 3)
    orientation = groups.numbers("PlaneOrientationSequence", "ImageOrientationPatient", 6)
    spacing = groups.numbers("PixelMeasuresSequence", "PixelSpacing", 2)
    thickness = groups.numbers("PixelMeasuresSequence", "SliceThickness", 1)
    slope = groups.numbers("PixelValueTransformationSequence", "RescaleSlope", 1)
    intercept = groups.numbers("PixelValueTransformationSequence", "RescaleIntercept", 1)
    frame_type = groups.value("CTImageFrameTypeSequence", "FrameType")
    kind = replace(
        whole.kind,
        frames=1,
        orientation=orientation,
        pixel_spacing_mm=(spacing[0], spacing[1]) if spacing else None,
        thickness_mm=thickness[0] if thickness else None,
        rescale_type=groups.text("PixelValueTransformationSequence", "RescaleType").upper(),
        kernel=groups.text("CTReconstructionSequence", "ConvolutionKernel"),
        image_type=tuple(str(v).upper() for v in frame_type) if frame_type else whole.kind.image_type,  # type: ignore[attr-defined]  # CS by definition of the keyword
        header=replace(whole.kind.header, slice_thickness_mm=thickness[0] if thickness else None),
    )
    return replace(
        whole,
        kind=kind,
        name=f"{whole.name}, frame {index + 1}",
        position_lps_mm=(position[0], position[1], position[2]) if position else None,
        slope=slope[0] if slope else None,
        intercept=intercept[0] if intercept else None,
        pixels=replace(whole.pixels, frame=index, frames=whole.kind.frames) if whole.pixels else None,
        frame_number=index + 1,
    )
