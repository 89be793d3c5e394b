"""Is what an exploration says true? Every figure's table beside what the generator wrote down of each study.

    python -m tools.toolkit_truth ROOT EXPLORATION

ROOT is a folder of `cspine phantom make --layout rsna`, EXPLORATION the folder of `cspine data explore`. The truth
comes from ``truth/<uid>.json`` alone and is counted here anew, with numpy. Ends with 1 when anything differs.
"""

import csv
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from tools.generator_truth import LEVELS, TARGETS, Truth, Wrong

UID = "StudyInstanceUID"
ORDER = (*LEVELS, *(f"T{k}" for k in range(1, 13)))
# Written in DICOM as decimal strings.
CLOSE = 1e-3
Row = dict[str, str]


@dataclass(frozen=True)
class Line:
    """One figure's numbers.

    Attributes
    ----------
    compared
        Numbers or rows that were compared.
    wrong
        What differs, in words; empty when nothing does.
    """

    figure: str
    said: str
    compared: int
    wrong: tuple[str, ...]


def compare(root: Path, exploration: Path) -> list[Line]:
    """Return a line for each figure of the exploration of a set."""
    truth = Truth.of(root)

    def table(name: str) -> list[Row]:
        path = exploration / "figures" / f"{name}.csv"
        if not path.exists():
            return []
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    return [check(truth, table) for check in CHECKS]


Tables = Callable[[str], list[Row]]


def _shares(truth: Truth, table: Tables) -> Line:
    n, wrong = len(truth.records), Wrong()
    counts = truth.labels.sum(axis=0)
    rows = {row["target"]: row for row in table("share_by_level")}
    for target, count in zip(TARGETS, counts.tolist(), strict=True):
        said = [float(rows[target][name]) for name in ("fractured", "n", "share", "low", "high")]
        wrong.unless_close(target, said, [count, n, count / n, *_wilson(count, n)], 1e-9)
    said = f"{counts[0]:.0f} of {n} studies; C1 … C7: {', '.join(f'{c:.0f}' for c in counts[1:])}"
    return Line("share_by_level", said, 5 * len(TARGETS), wrong.found)


def _overall(truth: Truth, table: Tables) -> Line:
    wrong, count, n = Wrong(), truth.labels[:, 0].sum(), len(truth.records)
    row = table("overall")[0]
    wrong.unless_close("overall", [float(row[k]) for k in ("fractured", "n", "share")], [count, n, count / n], 1e-9)
    return Line("overall", f"{count / n:.1%}", 3, wrong.found)


def _ordered(truth: Truth, table: Tables) -> Line:
    wrong, rows = Wrong(), table("levels_ordered")
    counts = dict(zip(LEVELS, truth.labels[:, 1:].sum(axis=0).tolist(), strict=True))
    wrong.unless_equal("counts", {row["level"]: float(row["fractured"]) for row in rows}, counts)
    order = [counts[row["level"]] for row in rows]
    wrong.unless_equal("order", order, sorted(order, reverse=True))
    return Line("levels_ordered", f"{rows[0]['level']} first, {rows[-1]['level']} last", len(rows), wrong.found)


def _per_patient(truth: Truth, table: Tables) -> Line:
    wrong = Wrong()
    counts = np.bincount(truth.labels[:, 1:].sum(axis=1).astype(int), minlength=8).tolist()
    wrong.unless_equal("studies", [int(row["studies"]) for row in table("levels_per_patient")], counts)
    return Line("levels_per_patient", f"0 … 7 levels: {', '.join(map(str, counts))}", 8, wrong.found)


def _correlation(truth: Truth, table: Tables) -> Line:
    wrong = Wrong()
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = np.corrcoef(truth.labels, rowvar=False)
    said = np.array([[float(row[t] or "nan") for t in TARGETS] for row in table("correlation")])
    if not np.allclose(said, expected, atol=1e-9, equal_nan=True):
        wrong.add(f"differs by up to {np.nanmax(np.abs(said - expected)):.3g}")
    beside = ", ".join(f"{expected[k, k + 1]:.2f}" for k in range(1, 7))
    return Line("correlation", f"neighbors C1–C2 … C6–C7: {beside}", said.size, wrong.found)


def _slices(truth: Truth, table: Tables) -> Line:
    wrong = Wrong()
    wrong.unless_equal("slices", {row[UID]: int(row["slices"]) for row in table("slices_per_study")}, truth.slices)
    values = list(truth.slices.values())
    return Line(
        "slices_per_study", f"median {np.median(values):g}, mean {np.mean(values):.2f}", len(values), wrong.found
    )


def _sizes(truth: Truth, table: Tables) -> Line:
    wrong, expected = Wrong(), defaultdict[tuple[int, int], list[int]](list)
    for record in truth.records.values():
        images = record["images"]
        trimmed = len(images["trimmed"])
        full, cut = (images["rows"], images["columns"]), (images["rows"] - images["trimmed_rows"], images["columns"])
        for shape, count in ((full, images["slices"] - trimmed), (cut, trimmed)):
            if count:
                expected[shape].append(count)
    said = {(int(r["rows"]), int(r["columns"])): [int(r["images"]), int(r["studies"])] for r in table("image_sizes")}
    wrong.unless_equal("sizes", said, {shape: [sum(counts), len(counts)] for shape, counts in expected.items()})
    total = sum(count for count, _ in said.values())
    return Line("image_sizes", f"{total} images of {len(said)} sizes", len(said), wrong.found)


def _spacing(truth: Truth, table: Tables) -> Line:
    wrong = Wrong()
    for row in table("spacing"):
        images = truth.records[row[UID]]["images"]
        apart, pixel, _ = images["spacing_mm"]
        said = [float(row[name]) for name in ("spacing_mm", "pixel_mm", "coverage_mm")]
        wrong.unless_close(row[UID], said, [apart, pixel, images["slices"] * apart], CLOSE)
    apart = [r["images"]["spacing_mm"][0] for r in truth.records.values()]
    return Line("spacing", f"{min(apart):.3g} … {max(apart):.3g} mm", 3 * len(apart), wrong.found)


def _summary(truth: Truth, table: Tables) -> Line:
    wrong = Wrong()
    images = [record["images"] for record in truth.records.values()]
    expected = {
        "slices": [i["slices"] for i in images],
        "spacing_mm": [i["spacing_mm"][0] for i in images],
        "pixel_mm": [i["spacing_mm"][1] for i in images],
        "coverage_mm": [i["slices"] * i["spacing_mm"][0] for i in images],
    }
    for row in table("study_summary"):
        values = expected[row["of"]]
        names = ("n", "mean", "minimum", "quartile_1", "median", "quartile_3", "maximum")
        known = [len(values), np.mean(values), *np.percentile(values, [0, 25, 50, 75, 100])]
        wrong.unless_close(row["of"], [float(row[name]) for name in names], known, CLOSE)
    median = np.median(expected["coverage_mm"])
    return Line("study_summary", f"median coverage {median:.1f} mm", 7 * len(expected), wrong.found)


def _groups(truth: Truth, table: Tables) -> Line:
    wrong, rows, n = Wrong(), table("prevalence_by_slices"), len(truth.records)
    count = np.array(list(truth.slices.values()))
    names = list(dict.fromkeys(row["slices"] for row in rows))
    for name in names:
        inside = _in_group(name, count)
        expected = {
            t: [float(s), float(inside.sum())] for t, s in zip(TARGETS, truth.labels[inside].sum(0), strict=True)
        }
        said = {r["target"]: [float(r["fractured"]), float(r["n"])] for r in rows if r["slices"] == name}
        wrong.unless_equal(name, said, expected)
    wrong.unless_equal("all groups", sum(int(_in_group(name, count).sum()) for name in names), n)
    return Line("prevalence_by_slices", "; ".join(names), 2 * len(rows), wrong.found)


def _in_group(name: str, count: np.ndarray) -> np.ndarray:
    """Return bool (N,): which studies a group such as "≤ 350", "41 … 60" or "> 350" holds."""
    if "…" in name:
        low, high = (int(part) for part in name.split("…"))
        inside: np.ndarray = (count >= low) & (count <= high)
        return inside
    limit = int(name[1:])
    return np.asarray(count <= limit if name.startswith("≤") else count > limit)


def _random(truth: Truth, table: Tables) -> Line:
    wrong, rows = Wrong(), table("random_slices")
    for row in rows:
        number = truth.numbers(row[UID])[int(row["slice_from_head"])]
        wrong.unless_equal(row[UID], int(row["slice_number"]), number)
    return Line("random_slices", f"{len(rows)} slices, each of its number", len(rows), wrong.found)


def _contrast(truth: Truth, table: Tables) -> Line:
    wrong, rows = Wrong(), table("contrast")
    for row in rows:
        wrong.unless_equal(f"{row[UID]} low", row["low"] == "True", float(row["contrast"]) < 0.35)
        if int(row["slice_number"]) not in truth.numbers(row[UID]):
            wrong.add(f"{row[UID]} has no slice {row['slice_number']}")
    low = sum(row["low"] == "True" for row in rows)
    least = [float(row["contrast"]) for row in table("low_contrast")]
    wrong.unless_equal("slices of least contrast", least, sorted(float(row["contrast"]) for row in rows)[: len(least)])
    return Line("contrast, low_contrast", f"{low} of {len(rows)} slices are low", len(rows) + len(least), wrong.found)


def _extents(truth: Truth, table: Tables) -> Line:
    wrong, touched = Wrong(), 0
    said = {(row[UID], row["vertebra"]): row for row in table("slices_per_vertebra")}
    wrong.unless_equal("levels", sorted(said), sorted((uid, level["vertebra"]) for uid, level, _ in truth.levels()))
    heights = {(row[UID], row["vertebra"]): float(row["height_mm"]) for row in table("heights")}
    for uid, level, changed in truth.levels():
        row = said[uid, level["vertebra"]]
        if changed:
            touched += 1
            continue
        names = ("slices", "voxels", "top_mm", "bottom_mm")
        key = f"{uid} {level['vertebra']}"
        wrong.unless_close(key, [float(row[name]) for name in names], [level[name] for name in names], CLOSE)
        if (uid, level["vertebra"]) in heights:
            height = level["top_mm"] - level["bottom_mm"]
            wrong.unless_close(f"{key} height", [heights[uid, level["vertebra"]]], [height], CLOSE)
    text = f"{len(said)} levels of {len(truth.masked)} masks, {touched} of them changed by an island that touches"
    return Line("slices_per_vertebra, heights", text, 4 * (len(said) - touched) + len(heights), wrong.found)


def _overlaps(truth: Truth, table: Tables) -> Line:
    wrong, expected, known = Wrong(), {}, {(uid, lv["vertebra"]): (lv, bad) for uid, lv, bad in truth.levels()}
    for upper, lower in pairwise(ORDER):
        for uid in truth.masked:
            if (uid, upper) in known and (uid, lower) in known:
                (one, bad_one), (other, bad_other) = known[uid, upper], known[uid, lower]
                if not (bad_one or bad_other):
                    expected[uid, upper] = other["top_mm"] - one["bottom_mm"]
    said = {(row[UID], row["upper"]): float(row["overlap_mm"]) for row in table("overlaps")}
    for key, value in expected.items():
        wrong.unless_close(" ".join(key), [said[key]], [value], CLOSE)
    median = np.median(list(expected.values())) if expected else float("nan")
    return Line("overlaps", f"median {median:.1f} mm of {len(expected)} pairs", len(expected), wrong.found)


def _levels_per_slice(truth: Truth, table: Tables) -> Line:
    """Compare within what touching islands can change."""
    wrong, counts, loose = Wrong(), Counter[int](), 0
    for record in truth.masked.values():
        seen = [level["voxels_by_slice"] for level in record["levels"] if level["vertebra"] in LEVELS]
        counts.update(sum(v > 0 for v in column) for column in zip(*seen, strict=True))
        loose += sum(len(i["voxels_by_slice"]) for i in record["islands"] if i["touches"])
    said = {int(row["levels"]): int(row["slices"]) for row in table("levels_per_slice")}
    wrong.unless_equal("slices", sum(said.values()), counts.total())
    off = sum(abs(said.get(k, 0) - counts.get(k, 0)) for k in {*said, *counts})
    if off > 2 * loose:
        wrong.add(f"{said}, truth {dict(counts)}")
    two = sum(c for k, c in counts.items() if k >= 2) / max(1, counts.total())
    return Line("levels_per_slice", f"{two:.1%} of {counts.total()} slices cut two or more", len(said), wrong.found)


def _visibility(truth: Truth, table: Tables) -> Line:
    wrong, compared = Wrong(), 0
    known = {(uid, level["vertebra"]): level for uid, level, bad in truth.levels() if not bad}
    found = defaultdict[tuple[str, str], list[float]](list)
    for row in table("level_visibility"):
        found[row[UID], row["vertebra"]].append(float(row["visible"]))
    for key, shares in found.items():
        if key in known:
            voxels = np.array(known[key]["voxels_by_slice"], float)
            loose = known[key]["stray_voxels"] / voxels.max()  # in the truth, but not in the largest piece of the table
            wrong.unless_close(" ".join(key), shares, voxels / voxels.max(), CLOSE + loose)
            compared += len(shares)
    return Line("level_visibility", f"{len(found)} levels", compared, wrong.found)


def _panels(truth: Truth, table: Tables) -> Line:
    wrong, sides, triples = Wrong(), table("side_views"), table("triptychs")
    for row in sides:
        record = truth.records[row[UID]]
        own = sum(sum(lv["voxels_by_slice"]) for lv in record["levels"] if lv["vertebra"] == row["vertebra"])
        added = sum(i["voxels"] for i in record["islands"] if i["vertebra"] == row["vertebra"])
        wrong.unless_equal(f"{row[UID]} {row['vertebra']}", int(row["voxels"]), own + added)
    for row in triples:
        record, k = truth.records[row[UID]], truth.numbers(row[UID]).index(int(row["slice_number"]))
        own = sum(level["voxels_by_slice"][k] for level in record["levels"])
        added = sum(i["voxels_by_slice"].get(str(k), 0) for i in record["islands"])
        wrong.unless_equal(f"{row[UID]} slice {row['slice_number']}", int(row["mask_pixels"]), own + added)
    text = f"{len(sides)} levels from the side, {len(triples)} slices"
    return Line("side_views, triptychs", text, len(sides) + len(triples), wrong.found)


def _box_sizes(truth: Truth, table: Tables) -> Line:
    wrong, boxes = Wrong(), list(truth.boxes())
    rows = {row["level"]: row for row in table("box_sizes")}
    if not boxes:
        return Line("box_sizes", "no boxes", 0, ("there are some",) if rows else ())
    names = ("boxes", "studies", "median_width", "median_height")
    median = [float(np.median([box[side] for _, box in boxes])) for side in ("width", "height")]
    known = [len(boxes), len({uid for uid, _ in boxes}), *median]
    wrong.unless_close("all", [float(rows["all"][name]) for name in names], known, 1e-6)
    wrong.unless_equal("sum of levels", sum(int(r["boxes"]) for k, r in rows.items() if k != "all"), len(boxes))
    text = f"{len(boxes)} boxes in {known[1]:.0f} studies, median {median[0]:g} × {median[1]:g} pixels"
    return Line("box_sizes", text, 5, wrong.found)


def _box_places(truth: Truth, table: Tables) -> Line:
    wrong, rows = Wrong(), table("box_places")
    names = ("slice_number", "x", "y", "width", "height")
    said = Counter((row[UID], *(int(row[name]) for name in names)) for row in rows)
    wrong.unless_equal("boxes", said, Counter((uid, *(int(box[name]) for name in names)) for uid, box in truth.boxes()))
    levels = {(uid, *(int(box[n]) for n in names)): box["vertebra"] for uid, box in truth.boxes()}
    masked = [
        (row["level"], levels.get((row[UID], *(int(row[n]) for n in names))))
        for row in rows
        if row[UID] in truth.masked
    ]
    right = sum(one == other for one, other in masked)
    wrong.unless_equal("levels without a mask", {r["level"] for r in rows if r[UID] not in truth.masked} - {""}, set())
    text = f"level by the mask right for {right} of {len(masked)} boxes with a mask"
    return Line("box_places", text, len(rows), wrong.found)


def _box_examples(truth: Truth, table: Tables) -> Line:
    wrong, rows = Wrong(), table("box_examples")
    names = ("slice_number", "x", "y", "width", "height")
    known = {(uid, *(int(box[name]) for name in names)) for uid, box in truth.boxes()}
    for row in rows:
        if (row[UID], *(int(row[name]) for name in names)) not in known:
            wrong.add(f"{row}: no such box")
    return Line("box_examples", f"{len(rows)} boxes", len(rows), wrong.found)


CHECKS: tuple[Callable[[Truth, Tables], Line], ...] = (
    _shares,
    _overall,
    _ordered,
    _per_patient,
    _correlation,
    _slices,
    _sizes,
    _spacing,
    _summary,
    _groups,
    _random,
    _contrast,
    _extents,
    _overlaps,
    _levels_per_slice,
    _visibility,
    _panels,
    _box_sizes,
    _box_places,
    _box_examples,
)


def _wilson(count: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927)."""
    z = 1.959963984540054
    middle = (count + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * np.sqrt(count * (n - count) / n + z * z / 4)
    return float(middle - half), float(middle + half)


def main() -> int:
    """Print a table in Markdown."""
    root, exploration = (Path(word) for word in sys.argv[1:3])
    lines = compare(root, exploration)
    print("| figure | it says | compared | wrong |\n|---|---|---|---|")
    for line in lines:
        print(f"| {line.figure} | {line.said} | {line.compared} | {len(line.wrong)} |")
    for line in lines:
        for text in line.wrong[:5]:
            print(f"! {line.figure}: {text}", file=sys.stderr)
    return int(any(line.wrong for line in lines))


if __name__ == "__main__":
    sys.exit(main())
