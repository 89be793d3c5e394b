"""Why a document cannot be made of a result, said before it is tried; ``None`` where it can."""

from cspine.dicom.header import LoadedSeries
from cspine.domain import Analysis, Vertebra


def no_study(analysis: Analysis, source: LoadedSeries) -> str | None:
    """Return why there is no study that the result could belong to, or ``None``."""
    known = source.header.study_instance_uid and source.header.series_instance_uid
    return None if known else "the input names no DICOM study and series that a result could belong to"


def no_vertebra(analysis: Analysis, source: LoadedSeries) -> str | None:
    """Return why there is nothing to write about vertebrae, or ``None``."""
    labels = analysis.labels.labels
    seen = ((labels > 0) & (labels <= Vertebra.C7)).any()
    return no_study(analysis, source) or (None if seen else "no cervical vertebra was found in the scan")


def no_fracture(analysis: Analysis, source: LoadedSeries) -> str | None:
    """Return why there is no fracture map to write, or ``None``."""
    if analysis.fracture_map is None:
        return "fractures were not assessed: the bundle has no fracture map"
    if analysis.map_threshold is None:
        return "the bundle gives no operating point for its fracture map"
    reached = (analysis.fracture_map.hu >= analysis.map_threshold).any()
    unreached = f"nothing in the fracture map reaches its operating point {analysis.map_threshold:g}"
    return no_study(analysis, source) or (None if reached else unreached)


def no_images(analysis: Analysis, source: LoadedSeries) -> str | None:
    """Return why there are no original slices to draw on, or ``None``."""
    resampled = "the series was resampled, so no original slice shows what was analyzed"
    return no_study(analysis, source) or (None if source.slices else resampled)
