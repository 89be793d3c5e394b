"""DICOM SEG: the vertebrae C1–C7 as seven segments, and the fracture map at its operating point as another object.

Both are BINARY, on the slices of the source: viewers skip FRACTIONAL ones.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import highdicom
import numpy as np

from cspine.dicom import (
    ALTERED_STRUCTURE,
    ANATOMICAL_STRUCTURE,
    ARTIFICIAL_INTELLIGENCE,
    CERVICAL_SPINE,
    FRACTURE,
    VERTEBRA_CODES,
    Code,
    DerivedObject,
    LoadedSeries,
    derived_header,
    derived_uid,
    image_references,
)
from cspine.domain import CERVICAL, Analysis, RenderError, Vertebra
from cspine.report.finish import algorithm, concept, equipment, finished, highdicom_identity
from cspine.report.palette import RGB, level_color
from cspine.report.possible import no_fracture, no_vertebra
from cspine.report.readback import check_segments

VERTEBRAE_OBJECT = DerivedObject("seg", "SEG", 9901, "vertebrae C1-C7")
FRACTURES_OBJECT = DerivedObject("fracture-seg", "SEG", 9902, "suspected fractures")
FRACTURE_COLOR: RGB = (255, 48, 48)


def render_seg(analysis: Analysis, source: LoadedSeries, timings_s: Mapping[str, float]) -> bytes:
    """Return the vertebrae as a DICOM file; segment numbers are the values of `Vertebra`.

    Raises
    ------
    RenderError
        There is no vertebra, or the file does not lie on the source when read back.
    """
    labels = analysis.labels.labels
    masks = np.where(labels <= Vertebra.C7, labels, 0).astype(np.uint8)
    segments = [
        _segment(analysis, v, v.name, (ANATOMICAL_STRUCTURE, VERTEBRA_CODES[v]), level_color(v)) for v in CERVICAL
    ]
    _refuse(no_vertebra(analysis, source), VERTEBRAE_OBJECT, source)
    return _rendered(analysis, source, VERTEBRAE_OBJECT, (masks, segments))


def render_fracture_seg(analysis: Analysis, source: LoadedSeries, timings_s: Mapping[str, float]) -> bytes:
    """Return the fracture map at its operating point as a DICOM file; errors as of `render_seg`."""
    _refuse(no_fracture(analysis, source), FRACTURES_OBJECT, source)
    assert analysis.fracture_map is not None  # refused before
    masks = (analysis.fracture_map.hu >= analysis.map_threshold).astype(np.uint8)
    codes = (ALTERED_STRUCTURE, FRACTURE)
    segment = _segment(analysis, 1, f"Suspected fracture, p >= {analysis.map_threshold:g}", codes, FRACTURE_COLOR)
    return _rendered(analysis, source, FRACTURES_OBJECT, (masks, [segment]))


def _refuse(objection: str | None, derived: DerivedObject, source: LoadedSeries) -> None:
    if objection is not None:
        raise RenderError(f"{derived.title} of {source.name}: {objection}")


def _segment(analysis: Analysis, number: int, label: str, codes: tuple[Code, Code], color: RGB) -> Any:
    return highdicom.seg.SegmentDescription(
        segment_number=int(number),
        segment_label=label,
        segmented_property_category=concept(codes[0]),
        segmented_property_type=concept(codes[1]),
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            family=concept(ARTIFICIAL_INTELLIGENCE), **algorithm(analysis)
        ),
        anatomic_regions=[concept(CERVICAL_SPINE)],
        tracking_id=label,
        tracking_uid=derived_uid("segment", analysis.labels.digest, label),
        display_color=highdicom.color.CIELabColor.from_rgb(*color),
    )


def _rendered(
    analysis: Analysis, source: LoadedSeries, derived: DerivedObject, content: tuple[np.ndarray, Sequence[Any]]
) -> bytes:
    masks, segments = content
    header = derived_header(analysis, source, derived)
    made = highdicom.seg.Segmentation(
        source_images=image_references(source),
        pixel_array=masks,
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
        content_label="AI_UNVERIFIED",
        content_description=derived.title,
        content_creator_name="cspine^",
        **highdicom_identity(analysis, header),
        **equipment(header),
    )
    if not source.slices:  # resampled: there are no images at these places
        made.pop("ReferencedSeriesSequence", None)
        for group in made.PerFrameFunctionalGroupsSequence:
            group.pop("DerivationImageSequence", None)
    document = finished(made, analysis, source, derived)
    check_segments(document, masks, source)
    return document
