"""Grayscale presentation state: level names, boxes round levels and suspected fractures on the original slices."""

from collections.abc import Iterator, Mapping
from typing import Any

import highdicom
import numpy as np
from pydicom import Dataset
from scipy import ndimage

from cspine.dicom import DerivedObject, LoadedSeries, derived_header, image_references
from cspine.domain import Analysis, RenderError, Vertebra
from cspine.report.drawing import BONE
from cspine.report.finish import equipment, finished, highdicom_identity
from cspine.report.palette import RGB
from cspine.report.pictures import numbered_locations
from cspine.report.possible import no_images
from cspine.report.segmentation import FRACTURE_COLOR
from cspine.report.words import percent

MARKS_OBJECT = DerivedObject("pr", "PR", 9905, "levels and boxes")
LEVEL_INK: RGB = (240, 228, 66)


def render_marks(analysis: Analysis, source: LoadedSeries, timings_s: Mapping[str, float]) -> bytes:
    """Return the presentation state as a DICOM file.

    Raises
    ------
    RenderError
        The series has no original slices (tilt).
    """
    objection = no_images(analysis, source)
    if objection is not None:
        raise RenderError(f"{MARKS_OBJECT.title} of {source.name}: {objection}")
    header = derived_header(analysis, source, MARKS_OBJECT)
    images = image_references(source)
    levels = _layer("LEVELS", 1, LEVEL_INK)
    fractures = _layer("FRACTURES", 2, FRACTURE_COLOR)
    window = highdicom.pr.SoftcopyVOILUTTransformation(window_center=BONE.center_hu, window_width=BONE.width_hu)
    made = highdicom.pr.GrayscaleSoftcopyPresentationState(
        referenced_images=images,
        content_label="AI_UNVERIFIED",
        content_description=MARKS_OBJECT.title,
        content_creator_name="cspine^",
        graphic_layers=[levels, fractures],
        graphic_annotations=[
            *_level_marks(analysis, source, images, levels),
            *_fracture_marks(analysis, source, images, fractures),
        ],
        voi_lut_transformations=[window],
        **highdicom_identity(analysis, header),
        **equipment(header),
    )
    made.Laterality = ""  # of a paired part; a neck is none, but the module asks for the element
    return finished(made, analysis, source, MARKS_OBJECT)


def _layer(name: str, order: int, color: RGB) -> Any:
    return highdicom.pr.GraphicLayer(name, order, display_color=highdicom.color.CIELabColor.from_rgb(*color))


def _level_marks(analysis: Analysis, source: LoadedSeries, images: list[Dataset], layer: Any) -> Iterator[Any]:
    """Yield name and box of each level on each slice that shows it."""
    for k, plane in enumerate(analysis.labels.labels):
        for number, part in enumerate(ndimage.find_objects(plane, max_label=int(Vertebra.C7)), start=1):
            if part is not None:
                low = np.array([part[0].start, part[1].start])
                high = np.array([part[0].stop, part[1].stop])
                first = source.slices[k].first_pixel_rc
                yield _mark(images[k], layer, Vertebra(number).name, np.array([low, high]), first)


def _fracture_marks(analysis: Analysis, source: LoadedSeries, images: list[Dataset], layer: Any) -> Iterator[Any]:
    """Yield number, type and box of each suspected fracture on each slice that crosses it."""
    grid = source.volume.grid
    for number, place in numbered_locations(analysis.findings):
        box = place.box_lps_mm
        corners = grid.to_index(np.array([[(box.min_lps_mm, box.max_lps_mm)[b >> i & 1][i] for i in range(3)]
                                          for b in range(8)]))  # fmt: skip
        low, high = corners.min(axis=0), corners.max(axis=0)
        text = f"F{number} {place.type or 'fracture'} {percent(place.probability)}"
        for k in range(max(0, int(np.ceil(low[0]))), min(grid.shape[0] - 1, int(np.floor(high[0]))) + 1):
            first = source.slices[k].first_pixel_rc
            yield _mark(images[k], layer, text, np.array([low[1:], high[1:]]) + 0.5, first)


def _mark(image: Dataset, layer: Any, text: str, corners_rc: np.ndarray, first_pixel_rc: tuple[int, int]) -> Any:
    """Return a rectangle and a text; `corners_rc` are low and high (row, column) from the grid's first corner.

    GSPS counts from the corner of the image's first pixel, which is (0, 0), columns first (PS3.3 C.10.5.1.2).
    """
    (top, left), (bottom, right) = np.clip(corners_rc - first_pixel_rc, 0, (image.Rows, image.Columns)).tolist()
    outline = np.array([[left, top], [right, top], [right, bottom], [left, bottom], [left, top]])
    return highdicom.pr.GraphicAnnotation(
        referenced_images=[image],
        graphic_layer=layer,
        graphic_objects=[highdicom.pr.GraphicObject("POLYLINE", outline, "PIXEL")],
        text_objects=[highdicom.pr.TextObject(text, "PIXEL", anchor_point=(right, top), anchor_point_visible=False)],
    )
