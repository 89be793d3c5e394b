"""`cspine experiment compare`: any finished runs side by side on the same test cases, as one page with tables.

Legend: N cases, D draws.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

from cspine.domain import ConfigError
from cspine.evaluation import DeLong, Estimate, Ranking, Statistic, delong, ratio, resampled, study_draws
from cspine.training.recipes.charts import estimates, lines
from cspine.training.recipes.compared import OVERALL, ComparedRun, aligned, read_run
from cspine.training.recipes.experiment_page import (
    Cell,
    ExperimentPage,
    PageOrigin,
    PagePicture,
    PageSection,
    PageTable,
    write_experiment,
)
from cspine.training.recipes.run_names import short_names

LEAD = (
    "Finished runs on the same test cases. Differences are paired: each redraw of studies is the same for both runs. "
    "DeLong's test compares two AUCs of independent cases, one row per study."
)
FIGURES = ("auc", "accuracy", "sensitivity", "specificity", "log_loss")
LEVELS = "all levels"
# Probabilities of 0 and 1 are moved this far inside before their logarithm is taken.
CLIP = 1e-6
THRESHOLD = 0.5
Rows = list[tuple[Cell, ...]]


def compare_runs(folders: Sequence[Path], out: Path, command: str = "", origin: str = "") -> Path:
    """Write ``index.html`` and CSV files; return the page.

    Parameters
    ----------
    folders
        Runs, or folders of runs with folds; the first is what the others are compared with in words.

    Raises
    ------
    ConfigError
        Fewer than two runs, one twice, one not finished, no common label, or test cases or truths differ.
    StoreError
        The folder cannot be written, or the disk is full.
    """
    if len(folders) < 2 or len(set(folders)) < len(folders):
        raise ConfigError(f"{len(set(folders))} different runs: a comparison needs at least 2, each once")
    runs = [read_run(folder) for folder in folders]
    names = short_names(runs)
    studies = _called(aligned([run.pooled() for run in runs]), names)
    sections = [_section("studies", "Studies", studies)]
    slices = _called(_slices(runs), names)
    if slices:
        sections.append(_section("cases", "Slices or images", slices))
    sections.append(_answers(studies))
    marks = tuple(f"{name}: {run.mark}" for name, run in zip(names, runs, strict=True) if run.mark)
    origins = "; ".join(dict.fromkeys(filter(None, (*(run.origin for run in runs), origin))))
    page = ExperimentPage(
        "compare",
        f"{len(runs)} runs on {len(studies[0].cases)} test studies",
        LEAD,
        PageOrigin(
            origins or "images of unknown origin", "; ".join(dict.fromkeys(run.split for run in runs)), marks, command
        ),
        tuple(_fact(name, run) for name, run in zip(names, runs, strict=True)),
        tuple(sections),
    )
    return write_experiment(page, out)


def _called(runs: Sequence[ComparedRun], names: Sequence[str]) -> tuple[ComparedRun, ...]:
    return tuple(replace(run, name=name) for run, name in zip(runs, names, strict=bool(runs)))


def _fact(name: str, run: ComparedRun) -> str:
    unit = "studies" if run.by_study else f"slices or images of {len(set(run.studies))} studies, pooled ({run.pool})"
    return f"{name}: {run.name}; {len(run.cases)} {unit}; {', '.join(run.labels)}; split: {run.split}"


def _slices(runs: Sequence[ComparedRun]) -> tuple[ComparedRun, ...]:
    """Return the runs case by case, where all of them answered the same slices or images with the same truth."""
    if any(run.by_study for run in runs):
        return ()
    try:
        return aligned(runs)
    except ConfigError:
        return ()


def _section(name: str, title: str, runs: Sequence[ComparedRun]) -> PageSection:
    weights = study_draws(np.array(runs[0].studies), np.random.default_rng(0))
    independent = runs[0].by_study
    rows: Rows = []
    gaps: Rows = []
    for label, columns in _questions(runs[0].labels):
        drawn = np.repeat(weights, len(columns), axis=1)
        for run in runs:
            truth, p = _asked(run, columns)
            found = {figure: resampled(s, drawn, len(run.cases)) for figure, s in _statistics(truth, p).items()}
            rows.append((label, run.name, len(run.cases), int(truth.sum()), *(found[f] for f in FIGURES)))
        gaps += _with_holm(list(_gaps(label, runs, columns, drawn, independent=independent)))
    note = (
        f"Threshold {THRESHOLD}; log loss: mean of −log p of the truth, probabilities at least {CLIP:g} from 0 and 1. "
        "Intervals (95 %) redraw studies. A study is positive where any of its slices is."
    )
    gap_note = (
        "First minus second; of the log loss below 0 is in favor of the first. p: DeLong's, two-sided; Holm's takes "
        "into account how many pairs are compared for the label. Several levels of one study are not independent, nor "
        "are slices: there only the redrawn interval holds."
    )
    columns_of = ("label", "run", "cases", "positive", *FIGURES)
    gap_columns = ("label", "first", "second", *FIGURES, "delong_auc", "p", "p_holm")
    tables = (
        PageTable(name, "Each run", columns_of, tuple(rows), note),
        PageTable(f"{name}_differences", "Differences", gap_columns, tuple(gaps), gap_note),
    )
    return PageSection(title, (), tables, (_chart(runs, rows), _roc(runs)))


def _questions(labels: Sequence[str]) -> Iterator[tuple[str, list[int]]]:
    """Yield each label with its column, then all levels together where there are several."""
    yield from ((label, [k]) for k, label in enumerate(labels))
    levels = [k for k, label in enumerate(labels) if label != OVERALL]
    if len(levels) > 1:
        yield LEVELS, levels


def _asked(run: ComparedRun, columns: list[int]) -> tuple[np.ndarray, np.ndarray]:
    return run.truth[:, columns].ravel().astype(np.float64), run.probability[:, columns].ravel().astype(np.float64)


def _statistics(truth_N: np.ndarray, p_N: np.ndarray) -> dict[str, Statistic]:
    said, true = p_N >= THRESHOLD, truth_N > 0
    ones, kept = np.ones(len(truth_N)), np.clip(p_N, CLIP, 1 - CLIP)
    return {
        "auc": Ranking(truth_N, p_N).auc,
        "accuracy": ratio(said == true, ones),
        "sensitivity": ratio(said & true, true),
        "specificity": ratio(~said & ~true, ~true),
        "log_loss": ratio(-np.log(np.where(true, kept, 1 - kept)), ones),
    }


def _gaps(
    label: str, runs: Sequence[ComparedRun], columns: list[int], drawn: np.ndarray, *, independent: bool
) -> Iterator[tuple[Cell, ...]]:
    for first, second in combinations(runs, 2):
        (truth, ours), (_, theirs) = _asked(first, columns), _asked(second, columns)
        here, there = _statistics(truth, ours), _statistics(truth, theirs)
        found = [resampled(_gap(here[f], there[f]), drawn, len(first.cases)) for f in FIGURES]
        tested = _delong(truth, ours, theirs) if independent and len(columns) == 1 else None
        told: tuple[Cell, Cell] = (None, None) if tested is None else (tested.difference, tested.p_value)
        yield (label, first.name, second.name, *found, *told)


def _gap(ours: Statistic, theirs: Statistic) -> Statistic:
    return lambda weights: ours(weights) - theirs(weights)


def _delong(truth: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> DeLong | None:
    """Return DeLong's comparison, or nothing where a class has fewer than two studies."""
    if min(truth.sum(), len(truth) - truth.sum()) < 2:
        return None
    return delong(truth, ours, theirs)


def _with_holm(rows: Rows) -> Rows:
    """Return rows with Holm's p of the last column behind it; a p that is not known takes no part."""
    found = [(row[-1], k) for k, row in enumerate(rows)]
    known = sorted((p, k) for p, k in found if isinstance(p, float) and np.isfinite(p))
    adjusted: dict[int, float] = {}
    highest = 0.0
    for place, (p, k) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - place) * p))
        adjusted[k] = highest
    return [(*row, adjusted.get(k)) for k, row in enumerate(rows)]


def _chart(runs: Sequence[ComparedRun], rows: Rows) -> PagePicture:
    labels = list(dict.fromkeys(str(row[0]) for row in rows))
    series: dict[str, list[Estimate]] = {run.name: [] for run in runs}
    for row in rows:
        found = row[4]
        assert isinstance(found, Estimate)
        series[str(row[1])].append(found)
    return estimates(labels, series, ("label", "AUC"))


def _roc(runs: Sequence[ComparedRun]) -> PagePicture:
    first = runs[0].labels[0]
    shown = {}
    for run in runs:
        curve = Ranking(*_asked(run, [0])).roc()
        shown[run.name] = (curve.x, curve.y)
    return lines(shown, ("share of false alarms", f"share found: {first}"), unit_square=True)


def _answers(runs: Sequence[ComparedRun]) -> PageSection:
    rows: Rows = []
    for n, study in enumerate(runs[0].cases):
        for k, label in enumerate(runs[0].labels):
            rows.append((study, label, int(runs[0].truth[n, k]), *(float(run.probability[n, k]) for run in runs)))
    table = PageTable(
        "answers", "Answers", ("study", "label", "truth", *(run.name for run in runs)), tuple(rows), shown=False
    )
    return PageSection("Answers", ("Every answer to every study is in answers.csv.",), (table,))
