"""The page of `slice-transfer`: its table, curves and doubt, as sections of an experiment's page."""

from pathlib import Path

from cspine.training.recipes.charts import curves, lines
from cspine.training.recipes.experiment_page import (
    Cell,
    ExperimentPage,
    PageOrigin,
    PageSection,
    PageTable,
    write_experiment,
)
from cspine.training.recipes.slice_transfer.table import FIGURES, Table

LEAD = (
    "Moustafa, Nasr, Fathy, Saleh 2025, run again: each network with each optimizer, frozen base, then fine-tuning. "
    "The paper's "
    "figures (percent) come from 800 other images, split by image without patients: what is beside ours is not the "
    "same task on "
    "the same data."
)
UNKNOWN = "images of unknown origin"
LEAKY = "LEAKS: {} cases of the same image or patient in two parts; these figures are not to be trusted"


def write_page(table: Table, out: Path, command: str, origin: str) -> Path:
    """Write ``index.html`` and the CSV files; return the page.

    Parameters
    ----------
    command
        What was typed.
    origin
        Where the images come from, in words; phantoms are said to be phantoms. Empty: unknown.

    Raises
    ------
    StoreError
        The folder cannot be written, or the disk is full.
    """
    about, base = table.about, table.recipe.base
    leaks, counts = about["leaks"], about["counts"]
    assert isinstance(leaks, list)
    assert isinstance(counts, dict)
    tuned = base.finetune.epochs if base.thaw else 0
    facts = (
        "; ".join(f"{part}: {n} images, {positive} positive" for part, (n, positive) in counts.items()),
        f"Images of {base.image_size} × {base.image_size}; at most {base.frozen.epochs} epochs frozen and {tuned} "
        f"fine-tuned; start: {about['start']}; seed {base.seed}",
    )
    warnings = (LEAKY.format(len(leaks)),) if leaks else ()
    page = ExperimentPage(
        "slice-transfer",
        "is there a fracture in this image?",
        LEAD,
        PageOrigin(origin or UNKNOWN, str(about["split"]), warnings, command),
        facts,
        (_results(table), _learning(table), _doubt(table)),
    )
    return write_experiment(page, out)


def _results(table: Table) -> PageSection:
    rows: list[tuple[Cell, ...]] = []
    for row in table.rows:
        c = row.counts
        published = row.published or (None,) * len(FIGURES)
        estimates = (row.estimates[name] for name in FIGURES)
        counts = (c.n, c.tn, c.fp, c.fn, c.tp)
        rows.append((row.name, row.optimizer, row.threshold, *counts, *estimates, *published, round(row.seconds, 1)))
    papers = tuple(f"published_{name}" for name in FIGURES)
    note = (
        "Thresholds other than 0.5 have the highest F1 on the validation part. “ensemble” is the mean probability of "
        "all "
        "pairs. Intervals (95 %): Wilson for shares, redrawn counts for F1; they hold for independent images, and "
        "images "
        "of one patient are not."
    )
    columns = ("network", "optimizer", "threshold", "n", "tn", "fp", "fn", "tp", *FIGURES, *papers, "seconds")
    return PageSection("Test part", (), (PageTable("table", "", columns, tuple(rows), note, frozenset(papers)),))


def _learning(table: Table) -> PageSection:
    long: list[tuple[Cell, ...]] = [
        (backbone, optimizer, stage, row.epoch, figure, value)
        for (backbone, optimizer), run in table.runs.items()
        for stage, row in run.history
        for figure, value in row.figures().items()
    ]
    columns = ("network", "optimizer", "stage", "epoch", "figure", "value")
    thawed = {sum(stage == "frozen" for stage, _ in run.history) + 0.5 for run in table.runs.values()}
    histories = {f"{b}, {o}": [row for _, row in run.history] for (b, o), run in table.runs.items()}
    text = ("The gray line is where fine-tuning begins.",)
    return PageSection(
        "Curves",
        text,
        (PageTable("curves", "", columns, tuple(long), shown=False),),
        (curves(histories, sorted(thawed)),),
    )


def _doubt(table: Table) -> PageSection:
    long: list[tuple[Cell, ...]] = [
        (name, float(c), float(r))
        for name, found in table.doubt.items()
        for c, r in zip(found.coverage, found.risk, strict=True)
    ]
    shown = {f"{name} (area {found.area:.3f})": (found.coverage, found.risk) for name, found in table.doubt.items()}
    text = ("The least certain answers are withheld first. A curve that falls to the left: doubt points at errors.",)
    columns = ("network", "coverage", "risk")
    return PageSection(
        "Doubt",
        text,
        (PageTable("risk_coverage", "", columns, tuple(long), shown=False),),
        (lines(shown, ("share of images answered, surest first", "share of wrong answers")),),
    )
