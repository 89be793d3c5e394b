"""The numbers behind the figures, as tables: pure functions of labels and of what was measured of each study.

Columns of labels are those of ``train.csv``. Every table becomes a CSV beside its figure.
"""

from collections.abc import Mapping, Sequence
from itertools import chain, pairwise
from typing import Any

import numpy as np
import pandas as pd

from cspine.datasets.filters import SLICE_GROUP_LIMIT
from cspine.datasets.gray import LOW_CONTRAST
from cspine.datasets.index import LEVELS, TARGETS, UID
from cspine.evaluation import wilson

Measures = Mapping[str, Mapping[str, Any]]


def share_by_level(labels: pd.DataFrame) -> pd.DataFrame:
    """Return fractured studies, their share and its 95 % interval (Wilson), for the study and for each level."""
    return pd.DataFrame([_share(target, int(labels[target].sum()), len(labels)) for target in TARGETS])


def counts_ordered(labels: pd.DataFrame) -> pd.DataFrame:
    """Return levels by number of fractures, most first; equal ones head to foot."""
    counts = [(level, int(labels[level].sum())) for level in LEVELS]
    return pd.DataFrame(sorted(counts, key=lambda entry: -entry[1]), columns=["level", "fractured"])


def levels_per_patient(labels: pd.DataFrame) -> pd.DataFrame:
    """Return how many studies have 0 … 7 fractured levels."""
    numbers = labels[list(LEVELS)].sum(axis=1)
    counts = [int((numbers == k).sum()) for k in range(len(LEVELS) + 1)]
    total = max(1, len(labels))
    return pd.DataFrame(
        {"levels": range(len(LEVELS) + 1), "studies": counts, "share": [count / total for count in counts]}
    )


def correlation(labels: pd.DataFrame) -> pd.DataFrame:
    """Return the phi coefficients of study and levels, 8 × 8; empty cells where a label never changes."""
    matrix = labels[list(TARGETS)].astype(float).corr()
    return matrix.rename_axis("target").reset_index()


def prevalence_by_slices(
    labels: pd.DataFrame, studies: pd.DataFrame, limits: Sequence[int] = (SLICE_GROUP_LIMIT,)
) -> pd.DataFrame:
    """Return the shares of `share_by_level` apart for groups of studies by number of slices.

    Parameters
    ----------
    limits
        Most slices of each group but the last, rising: 40, 60 make ≤ 40, 41 … 60 and > 60.
    """
    joined = labels.merge(studies[[UID, "slices"]], on=UID)
    names = [f"≤ {limits[0]}", *(f"{a + 1} … {b}" for a, b in pairwise(limits)), f"> {limits[-1]}"]
    group = np.searchsorted(limits, joined["slices"], side="left")
    parts = [share_by_level(joined[group == k]).assign(slices=name) for k, name in enumerate(names)]
    return pd.concat(parts, ignore_index=True)[["slices", "target", "fractured", "n", "share", "low", "high"]]


def study_table(measures: Measures) -> pd.DataFrame:
    """Return one row per study: slices, spacing, pixel and coverage in mm."""
    columns = ("slices", "spacing_mm", "pixel_mm", "coverage_mm")
    rows = [[uid, *(values[name] for name in columns)] for uid, values in measures.items()]
    return pd.DataFrame(rows, columns=[UID, *columns])


def slice_summary(studies: pd.DataFrame) -> pd.DataFrame:
    """Return number, median, mean and quartiles of slices, spacing and coverage."""
    names = ("slices", "spacing_mm", "pixel_mm", "coverage_mm")
    rows = []
    for name in names:
        values = studies[name].dropna().astype(float)
        quartiles = values.quantile([0.0, 0.25, 0.5, 0.75, 1.0]).tolist()
        rows.append([name, len(values), values.mean(), *quartiles])
    return pd.DataFrame(rows, columns=["of", "n", "mean", "minimum", "quartile_1", "median", "quartile_3", "maximum"])


def image_sizes(measures: Measures) -> pd.DataFrame:
    """Return images and studies by rows × columns, most images first; a study of mixed shapes counts in each."""
    rows = [shape for values in measures.values() for shape in values["shapes"]]
    table = pd.DataFrame(rows, columns=["rows", "columns", "images"])
    grouped = table.groupby(["rows", "columns"], as_index=False).agg(
        images=("images", "sum"), studies=("images", "size")
    )
    return grouped.sort_values(["images", "rows", "columns"], ascending=[False, True, True], ignore_index=True)


def contrast_table(measures: Measures) -> pd.DataFrame:
    """Return the contrast of each slice that was looked at, and whether a filter would remove it."""
    rows = [
        [uid, entry["slice_number"], entry["contrast"], entry["contrast"] < LOW_CONTRAST]
        for uid, values in measures.items()
        for entry in values["contrast"]
    ]
    return pd.DataFrame(rows, columns=[UID, "slice_number", "contrast", "low"])


def level_table(measures: Measures) -> pd.DataFrame:
    """Return one row per level of each mask: slices, heights, pieces."""
    columns = ("vertebra", "slices", "height_mm", "top_mm", "bottom_mm", "voxels", "pieces", "stray_voxels", "cut")
    rows = [[uid, *(e[name] for name in columns)] for uid, values in measures.items() for e in values["levels"]]
    return pd.DataFrame(rows, columns=[UID, *columns])


def overlap_table(measures: Measures) -> pd.DataFrame:
    """Return the overlap of neighbors along the neck, mm, for each mask."""
    rows = [
        [uid, upper["vertebra"], lower["vertebra"], lower["top_mm"] - upper["bottom_mm"]]
        for uid, values in measures.items()
        for upper, lower in _neighbors(values["levels"])
    ]
    return pd.DataFrame(rows, columns=[UID, "upper", "lower", "overlap_mm"])


def levels_per_slice(measures: Measures) -> pd.DataFrame:
    """Return how many axial slices of all masks cut 0, 1, 2 … of C1 … C7."""
    counts: dict[int, int] = {}
    for values in measures.values():
        seen = [e["voxels_by_slice"] for e in values["levels"] if e["vertebra"] in LEVELS]
        for column in zip(*seen, strict=True):
            number = sum(voxels > 0 for voxels in column)
            counts[number] = counts.get(number, 0) + 1
    total = max(1, sum(counts.values()))
    rows = [[number, counts[number], counts[number] / total] for number in sorted(counts)]
    return pd.DataFrame(rows, columns=["levels", "slices", "share"])


def visibility_table(measures: Measures, uids: Sequence[str]) -> pd.DataFrame:
    """Return, for a few studies, the share of each level's largest section that every slice shows."""
    rows = []
    for uid in uids:
        for entry in measures[uid]["levels"]:
            most = max(entry["voxels_by_slice"])
            if entry["vertebra"] in LEVELS and most:
                shares = (voxels / most for voxels in entry["voxels_by_slice"])
                rows += [[uid, entry["vertebra"], k, share] for k, share in enumerate(shares)]
    return pd.DataFrame(rows, columns=[UID, "vertebra", "slice_from_head", "visible"])


def box_table(measures: Measures) -> pd.DataFrame:
    """Return one row per placed box; the level is empty where the study has no mask or the box meets none."""
    columns = ("slice_number", "x", "y", "width", "height", "center_x_share", "center_y_share", "level")
    rows = [[uid, *(box[name] for name in columns)] for uid, values in measures.items() for box in values["boxes"]]
    return pd.DataFrame(rows, columns=[UID, *columns])


def box_sizes(boxes: pd.DataFrame) -> pd.DataFrame:
    """Return number and median size of boxes by level, all boxes first, those below C7 and without a level last."""
    parts = [("all", boxes), *((level, boxes[boxes["level"] == level]) for level in LEVELS)]
    parts.append(("T1 and below", boxes[~boxes["level"].isin([*LEVELS, ""])]))
    parts.append(("no level", boxes[boxes["level"] == ""]))
    rows = [
        [name, len(part), part[UID].nunique(), part["width"].median(), part["height"].median()] for name, part in parts
    ]
    return pd.DataFrame(rows, columns=["level", "boxes", "studies", "median_width", "median_height"])


def notes_table(
    measures: Measures, errors: Mapping[str, str], problems: Sequence[tuple[str, str]] = ()
) -> pd.DataFrame:
    """Return what could not be used, study by study: problems of the index, studies that were not read, notes."""
    broken = ([uid, text] for uid, text in errors.items())
    noted = ([uid, text] for uid, values in measures.items() for text in values["notes"])
    return pd.DataFrame(list(chain(problems, broken, noted)), columns=[UID, "note"])


def _share(target: str, fractured: int, n: int) -> dict[str, object]:
    estimate = wilson(fractured, n)
    share = {"share": estimate.value, "low": estimate.low, "high": estimate.high}
    return {"target": target, "fractured": fractured, "n": n, **share}


def _neighbors(entries: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    order = {name: k for k, name in enumerate((*LEVELS, *(f"T{k}" for k in range(1, 13))))}
    return [(a, b) for a, b in pairwise(entries) if order[b["vertebra"]] == order[a["vertebra"]] + 1]
