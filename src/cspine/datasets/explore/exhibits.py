"""Which figures an exploration has, in the order of the page, each with its table and a sentence of its numbers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cspine.datasets.explore import charts, panels, tables
from cspine.datasets.explore.material import Exhibit, Material, PanelPlan, Section
from cspine.datasets.filters import SLICE_GROUP_LIMIT
from cspine.datasets.gray import LOW_CONTRAST
from cspine.datasets.index import OVERALL, UID
from cspine.datasets.labeled_study import StudyFiles
from cspine.datasets.study_pass import Report


def sections(material: Material, plan: PanelPlan, report: Report) -> list[Section]:
    """Draw everything that the material allows, in the order of the page."""
    made = []
    for k, (title, make) in enumerate(SECTIONS):
        report(f"draw {title.lower()}", k / len(SECTIONS))
        made.append(Section(title, tuple(make(material, plan))))
    return [section for section in made if section.exhibits]


def _labels(material: Material, plan: PanelPlan) -> list[Exhibit]:
    labels = material.labels
    if labels.empty:
        return []
    share, ordered = tables.share_by_level(labels), tables.counts_ordered(labels)
    overall = share.iloc[0]
    per_patient, correlated = tables.levels_per_patient(labels), tables.correlation(labels)
    several = int(per_patient.loc[per_patient["levels"] >= 2, "studies"].sum())
    return [
        _chart(
            "share_by_level",
            "Fractures by level",
            charts.share_bars,
            share,
            f"Share of {len(labels)} studies with a fracture, with 95 % intervals (Wilson) and counts.",
        ),
        _chart(
            "overall",
            "Studies with and without a fracture",
            charts.overall_pie,
            share[share["target"] == OVERALL],
            f"{overall['fractured']} of {overall['n']} studies ({overall['share']:.1%}) have a fracture.",
        ),
        _chart(
            "levels_ordered",
            "Levels by number of fractures",
            charts.ordered_bars,
            ordered,
            f"Most often {ordered['level'].iloc[0]}, least often {ordered['level'].iloc[-1]}.",
        ),
        _chart(
            "levels_per_patient",
            "Fractured levels of a study",
            charts.levels_bars,
            per_patient,
            f"{_count(several, 'study', 'studies')} with two or more; each study is one patient.",
        ),
        _chart(
            "correlation",
            "Which levels break together",
            charts.correlation_map,
            correlated,
            "Phi coefficients of the labels. A dash: the label is the same in all studies.",
        ),
    ]


def _studies(material: Material, plan: PanelPlan) -> list[Exhibit]:
    studies = tables.study_table(material.measures)
    if studies.empty:
        return []
    summary = tables.slice_summary(studies).set_index("of")
    slices, spacing, coverage = (summary.loc[name] for name in ("slices", "spacing_mm", "coverage_mm"))
    sizes = tables.image_sizes(material.measures)
    few = studies["slices"] <= plan.slice_limits[0]
    found = [
        _chart(
            "slices_per_study",
            "Slices per study",
            lambda t: charts.slices_histogram(t, plan.slice_limits),
            studies[[UID, "slices"]],
            f"Median {slices['median']:g}, mean {slices['mean']:.1f}, "
            f"{slices['minimum']:g} … {slices['maximum']:g}; "
            f"{few.mean():.1%} have at most {plan.slice_limits[0]}.",
        ),
        _chart(
            "image_sizes",
            "Sizes of images",
            charts.size_bars,
            sizes,
            f"{int(sizes['images'].sum()):,} images of {_count(len(sizes), 'size', 'sizes')}; the most usual is "
            f"{sizes['rows'].iloc[0]} × {sizes['columns'].iloc[0]}.",
        ),
        _chart(
            "spacing",
            "Distance of slices and coverage",
            charts.spacing_scatter,
            studies[[UID, "spacing_mm", "pixel_mm", "coverage_mm"]],
            f"Median distance {spacing['median']:g} mm ({spacing['minimum']:.3g} … {spacing['maximum']:.3g}), "
            f"median coverage {coverage['median']:.0f} mm ({coverage['minimum']:.0f} … {coverage['maximum']:.0f}).",
        ),
        _chart(
            "study_summary",
            "Coverage along the table",
            lambda _: charts.histogram(studies["coverage_mm"], "coverage, mm"),
            summary.reset_index(),
            "The table has the quartiles of slices, spacing, pixel size and coverage.",
        ),
    ]
    return [*found, *_comparisons(material, studies, plan)]


def _comparisons(material: Material, studies: pd.DataFrame, plan: PanelPlan) -> Iterator[Exhibit]:
    if not material.labels.empty:
        yield _chart(
            "prevalence_by_slices",
            "Fractures by number of slices",
            charts.group_bars,
            tables.prevalence_by_slices(material.labels, studies, plan.slice_limits),
            f"With 95 % intervals. {_first_paper(plan)}A difference here is a confounder: the number of slices tells "
            "the scanner, not the patient.",
        )
    if material.funnel is not None:
        last = material.funnel.iloc[-1]
        yield _chart(
            "funnel",
            "What a filter leaves",
            charts.funnel,
            material.funnel,
            f"After the last rule {last['studies']:,} studies and {last['slices']:,} slices are left.",
        )


def _slices(material: Material, plan: PanelPlan) -> list[Exhibit]:
    usable, rng = _usable(material), np.random.default_rng([plan.seed, 1])
    contrast = tables.contrast_table(material.measures)
    found = [
        _panel(
            "random_slices",
            "Random slices",
            panels.random_slices(usable, plan.random_slices, rng),
            "Bone window, one slice each of randomly drawn studies.",
        )
    ]
    if len(contrast):
        low = int(contrast["low"].sum())
        found.append(
            _chart(
                "contrast",
                "Contrast of slices",
                charts.contrast_histogram,
                contrast,
                f"{len(contrast)} slices were looked at; {low} ({low / len(contrast):.1%}) lie below "
                f"{LOW_CONTRAST:g}, where the filter removes them.",
            )
        )
        found.append(
            _panel(
                "low_contrast",
                "Slices of least contrast",
                panels.low_contrast_slices(usable, contrast, plan.examples),
                f"The filter removes those below {LOW_CONTRAST:g}: mostly air, a thin neck, or the end of the table.",
            )
        )
    return found


def _masks(material: Material, plan: PanelPlan) -> list[Exhibit]:
    levels = tables.level_table(material.measures)
    if levels.empty:
        return []
    usable, rng = _usable(material), np.random.default_rng([plan.seed, 2])
    whole = levels[~levels["cut"].astype(bool)]
    overlaps, shared = tables.overlap_table(material.measures), tables.levels_per_slice(material.measures)
    masked = levels[UID].nunique()
    seen = tables.visibility_table(material.measures, sorted(levels[UID].unique())[: plan.visibility])
    two = float(shared.loc[shared["levels"] >= 2, "share"].sum())
    return [
        _chart(
            "slices_per_vertebra",
            "Slices per vertebra",
            lambda t: charts.level_boxes(t, "slices", "axial slices"),
            levels,
            f"{len(levels)} levels of {masked} masks; cut ones count with what is left of them.",
        ),
        _chart(
            "heights",
            "Height along the neck",
            lambda t: charts.level_boxes(t, "height_mm", "height, mm"),
            whole,
            f"{len(whole)} levels that no edge of the scan cuts, largest piece of each.",
        ),
        _chart(
            "overlaps",
            "Overlap of neighbors",
            charts.overlap_boxes,
            overlaps,
            f"Median {overlaps['overlap_mm'].median():.1f} mm over {len(overlaps)} pairs: how far the upper level "
            "reaches below the top of the lower one. Negative is a gap.",
        ),
        _chart(
            "levels_per_slice",
            "Levels that one slice cuts",
            charts.shared_slices,
            shared,
            f"{two:.1%} of the slices cut two levels or more: “the level of a slice” is not one level.",
        ),
        _chart(
            "level_visibility",
            "Visibility of levels along the slices",
            charts.visibility_lines,
            seen,
            "Section of each level in every slice, as a share of its largest.",
        ),
        _panel(
            "side_views",
            "Masks from the side",
            panels.side_views(sorted(usable, key=lambda f: -len(material.measures[f.uid]["levels"])), plan.side_views),
            "Front to the left, brighter where more voxels lie behind each other.",
        ),
        _panel(
            "triptychs",
            "Image, mask, overlay",
            panels.triptychs(usable, plan.triptychs, rng),
            "One slice through the middle of a random level of a random mask.",
        ),
    ]


def _boxes(material: Material, plan: PanelPlan) -> list[Exhibit]:
    boxes = tables.box_table(material.measures)
    if boxes.empty:
        return []
    usable, rng = _usable(material), np.random.default_rng([plan.seed, 3])
    sizes = tables.box_sizes(boxes)
    whole = sizes.iloc[0]
    return [
        _chart(
            "box_sizes",
            "Sizes of boxes",
            lambda _: charts.box_scatter(boxes),
            sizes,
            f"{len(boxes)} boxes in {boxes[UID].nunique()} studies; median {whole['median_width']:g} × "
            f"{whole['median_height']:g} pixels. The level is that of the mask under the box.",
        ),
        _chart(
            "box_places",
            "Places of boxes",
            charts.box_places,
            boxes,
            "Centers as shares of the image; x, y in the file are the top left corner.",
        ),
        _panel(
            "box_examples",
            "Boxes on their slices",
            panels.box_examples(usable, plan.examples, rng),
            "Frames in the color of the level, white where it is not known.",
        ),
    ]


def _notes(material: Material, plan: PanelPlan) -> list[Exhibit]:
    notes = tables.notes_table(material.measures, material.errors, material.problems)
    if notes.empty:
        return []
    counts = notes["note"].str.replace(r"\d+", "N", regex=True).value_counts().head(12)
    table = counts.rename_axis("note").reset_index(name="studies")
    picture = _chart(
        "not_used",
        "What could not be used",
        _note_bars,
        table,
        f"{_count(notes[UID].nunique(), 'study', 'studies')} with something that was not used; the table names each.",
    )
    return [replace(picture, table=notes)]


def _note_bars(table: pd.DataFrame) -> Figure:
    return charts.counted_bars(table["note"].str.slice(-70), table["studies"], "studies")


SECTIONS: tuple[tuple[str, Callable[[Material, PanelPlan], list[Exhibit]]], ...] = (
    ("Labels", _labels),
    ("Studies", _studies),
    ("Slices", _slices),
    ("Masks", _masks),
    ("Boxes", _boxes),
    ("Left out", _notes),
)


def _first_paper(plan: PanelPlan) -> str:
    return "The groups of the first paper. " if plan.slice_limits == (SLICE_GROUP_LIMIT,) else ""


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _usable(material: Material) -> Sequence[StudyFiles]:
    """Return the studies that were read, without the masks that did not fit."""
    read = [files for files in material.studies if files.uid in material.measures]
    return [f if material.measures[f.uid]["levels"] else replace(f, mask=None) for f in read]


def _chart(name: str, title: str, chart: Callable[[Any], Figure], table: pd.DataFrame, caption: str) -> Exhibit:
    return Exhibit(name, title, caption, table, charts.svg(lambda: chart(table)))


def _panel(name: str, title: str, panel: panels.Panel, caption: str) -> Exhibit:
    return Exhibit(name, title, caption, panel.table, panel.png, "png")
