"""The parts of the page of an evaluation: for each a sentence on how to read it, charts, and tables."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cspine.evaluation import ALL_TARGETS, TARGETS, VERTEBRA, DetectorEvaluation, Estimate, Figure, Plot, Section
from cspine.report.scores.charts import Axes, Line, figure_text, interval_chart, line_chart, share_chart

STUDY = TARGETS[0]
_NOTHING = Estimate(float("nan"), float("nan"), float("nan"), 0)
_DECISIONS = ("rule-in", "uncertain", "rule-out", "not assessed")
FROC_MAX = 3.0


@dataclass(frozen=True)
class Chart:
    """A chart and the words under it."""

    title: str
    svg: str
    caption: str = ""
    wide: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of text; the first cell of each names it."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Part:
    """A part of the page."""

    title: str
    words: str
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()


class Figures:
    """Figures by section, name, target and group."""

    def __init__(self, evaluation: DetectorEvaluation) -> None:
        self.evaluation = evaluation
        self._by_name = {(f.section, f.name, f.target, f.group): f.estimate for f in evaluation.figures}

    def get(self, section: Section, name: str, target: str, group: str = "all") -> Estimate:
        """Return a figure; not a number where there is none."""
        return self._by_name.get((section, name, target, group), _NOTHING)

    def all(self, section: Section) -> list[Figure]:
        """Return the figures of a section, in their order."""
        return [figure for figure in self.evaluation.figures if figure.section is section]

    def names(self, section: Section, target: str) -> list[str]:
        """Return the names of a section's figures of a target, each once."""
        return list(dict.fromkeys(f.name for f in self.all(section) if f.target == target))

    def groups(self, section: Section) -> list[str]:
        """Return the groups of a section, each once."""
        return list(dict.fromkeys(f.group for f in self.all(section)))

    def plot(self, kind: str, target: str) -> Plot | None:
        """Return a curve, if there is one."""
        found = [plot for plot in self.evaluation.plots if (plot.kind, plot.target) == (kind, target)]
        return found[0] if found else None

    def table(self, title: str, section: Section, names: Sequence[str], targets: Sequence[str]) -> Table:
        """Return a table with a row for each target and a column for each name."""
        rows = [(t, *(figure_text(self.get(section, name, t)) for name in names)) for t in targets]
        return Table(title, ("", *names), tuple(rows))


def parts_of(evaluation: DetectorEvaluation) -> tuple[Part, ...]:
    """Return the parts that have something to show, in the order of the page."""
    figures = Figures(evaluation)
    return tuple(part for make in _MAKERS for part in make(figures))


def _decisions(figures: Figures) -> Iterator[Part]:
    bars = []
    for target, plural in ((STUDY, "studies"), (VERTEBRA, "vertebrae")):
        for label, word in ((1, "fractured"), (0, "not fractured")):
            shares = _decided(figures.evaluation, target, label)
            if shares:
                bars.append((f"{plural}, {word}", shares))
    names = figures.names(Section.DECISIONS, STUDY)
    plain = [n for n in names if not n.startswith(("PPV", "NPV"))]
    worth = [n for n in names if n.startswith(("PPV", "NPV"))]
    by_name = [
        (name, *(figure_text(figures.get(Section.DECISIONS, name, t)) for t in (STUDY, VERTEBRA))) for name in plain
    ]
    values = [
        (name, *(figure_text(figures.get(Section.DECISIONS, name, t)) for t in (STUDY, VERTEBRA))) for name in worth
    ]
    shown = ("sensitivity", "specificity", "fractured called rule-out", "abstention")
    yield Part(
        "What it decides",
        "Uncertain and not assessed stand in every denominator; where they are left out the name says “decided only”. "
        "Sensitivity counts rule-in alone. The worst answer is a fracture that is ruled out. The prevalence of PPV and "
        "NPV is that of the column: of fractured studies, or of fractured vertebrae.",
        (Chart("Decisions by truth", share_chart(bars), "", wide=True),),
        (
            Table("Shares", ("", STUDY, VERTEBRA), tuple(by_name)),
            Table("What an answer is worth, by prevalence of fractures", ("", STUDY, VERTEBRA), tuple(values)),
            figures.table("By level", Section.DECISIONS, shown, TARGETS[1:]),
        ),
    )


def _decided(evaluation: DetectorEvaluation, target: str, label: int) -> list[tuple[str, float]]:
    """Return the share of each decision; nothing where there is no such row."""
    columns = slice(1, None) if target == VERTEBRA else slice(0, 1)
    own = evaluation.scored.decisions[:, columns][evaluation.scored.labels[:, columns] == label]
    return [(d, float((own == d).mean())) for d in _DECISIONS] if own.size else []


def _discrimination(figures: Figures) -> Iterator[Part]:
    charts = []
    for kind, axes in (
        ("roc", Axes("1 − specificity", "sensitivity", diagonal=True)),
        ("precision-recall", Axes("recall (sensitivity)", "precision (PPV)")),
    ):
        plots = [p for t in (STUDY, VERTEBRA) if (p := figures.plot(kind, t)) is not None]
        lines = [Line(p.target, [(q.x, q.estimate) for q in p.points]) for p in plots]
        title = "ROC" if kind == "roc" else "Precision and recall"
        if lines:
            words = "" if kind == "roc" else "At the share of fractures in this set."
            charts.append(Chart(title, line_chart(lines, axes), words))
    areas = [(target, figures.get(Section.DISCRIMINATION, "AUC", target)) for target in ALL_TARGETS]
    charts.append(Chart("AUC by target", interval_chart(areas, (0.5, 1.0), label="AUC"), wide=True))
    names = figures.names(Section.DISCRIMINATION, STUDY)
    yield Part(
        "How well scores order",
        "AUC: the chance that a fractured one scores above one that is not; .5 is a coin. Levels that were not "
        "assessed score their prior.",
        tuple(charts),
        (
            figures.table("Ranking", Section.DISCRIMINATION, names, ALL_TARGETS),
            _columns(figures, Section.OPERATING, "Operating points, each threshold taken on this very set"),
        ),
    )


def _columns(figures: Figures, section: Section, title: str) -> Table:
    rows = [
        (name, *(figure_text(figures.get(section, name, t)) for t in (STUDY, VERTEBRA)))
        for name in figures.names(section, STUDY)
    ]
    return Table(title, ("", STUDY, VERTEBRA), tuple(rows))


def _calibration(figures: Figures) -> Iterator[Part]:
    charts = []
    for target in ALL_TARGETS:
        plot = figures.plot("reliability", target)
        if plot is not None:
            line = Line(target, [(q.x, q.estimate) for q in plot.points], dots=True)
            size = (360, 320) if target in (STUDY, VERTEBRA) else (230, 215)
            svg = line_chart([line], Axes("probability said", "share fractured", diagonal=True), size)
            charts.append(Chart(f"Reliability: {target}", svg))
    names = figures.names(Section.CALIBRATION, STUDY)
    loss = figures.names(Section.LOSS, "all targets")
    rows = [(name, figure_text(figures.get(Section.LOSS, name, "all targets"))) for name in loss]
    column = [(t, figure_text(figures.get(Section.LOSS, "weighted log loss of q, column", t))) for t in TARGETS]
    yield Part(
        "Whether probabilities mean what they say",
        "Bins of equal mass; bars are 95 % intervals of the share. On the diagonal, of those with 20 % one in five is "
        "fractured. Slope below 1: too sure; intercept above 0: too low. Brier skill above 0: better "
        "than the prevalence alone.",
        tuple(charts),
        (
            figures.table("Calibration", Section.CALIBRATION, names, ALL_TARGETS),
            Table("Loss of the RSNA 2022 challenge", ("", "all targets"), tuple(rows)),
            Table("Loss of q within each column", ("", "loss"), tuple(column)),
        ),
    )


def _boxes(figures: Figures) -> Iterator[Part]:
    found = figures.all(Section.BOXES)
    if not found:
        return
    plots = [p for p in figures.evaluation.plots if p.kind == "froc"]
    lines = [Line(p.target, [(q.x, q.estimate) for q in p.points], step=True) for p in plots]
    axes = Axes("false boxes per study", "sensitivity for fractures", FROC_MAX)
    groups = figures.groups(Section.BOXES)
    names = list(dict.fromkeys(f.name for f in found))
    rows = [
        (name, *(figure_text(figures.get(Section.BOXES, name, "box", group)) for group in groups)) for name in names
    ]
    yield Part(
        "Where it points",
        "Boxes in the patient, each side at least 5 mm, matched one to one, the surest first; a second box on one "
        "fracture is a false one. PPV is that of the boxes named beside it.",
        (Chart("Free-response ROC", line_chart(lines, axes, (460, 320))),),
        (Table("Boxes", ("", *groups), tuple(rows)),),
    )


def _subgroups(figures: Figures) -> Iterator[Part]:
    groups = figures.groups(Section.SUBGROUPS)
    if not groups:
        return
    rows = [(group, figures.get(Section.SUBGROUPS, "AUC", STUDY, group)) for group in groups]
    names = figures.names(Section.SUBGROUPS, STUDY)
    cells = [
        (
            group,
            str(figures.get(Section.SUBGROUPS, "AUC", STUDY, group).n),
            *(figure_text(figures.get(Section.SUBGROUPS, name, STUDY, group)) for name in names),
            figure_text(figures.get(Section.SUBGROUPS, "AUC", VERTEBRA, group)),
        )
        for group in groups
    ]
    whole = figures.get(Section.DISCRIMINATION, "AUC", STUDY).value
    yield Part(
        "Parts of the set",
        "Parts differ in more than their name, and small ones by chance: look at the interval first. The dotted line "
        "is the whole set.",
        (Chart("AUC by study", interval_chart(rows, (0.4, 1.0), whole, "AUC of the study"), wide=True),),
        (Table("By study", ("", "studies", *names, "AUC, vertebra"), tuple(cells)),),
    )


def _kinds(figures: Figures) -> Iterator[Part]:
    groups = figures.groups(Section.KINDS)
    if not groups:
        return
    fractures = [g for g in groups if not g.startswith("mimic")]
    names = list(dict.fromkeys(f.name for f in figures.all(Section.KINDS) if f.group in fractures))
    alarm, told = "not fractured called rule-in", "not fractured, a mimic named"
    rows = [
        (g, *(figure_text(figures.get(Section.KINDS, n, VERTEBRA, g)) for n in names), _count(figures, names[0], g))
        for g in fractures
    ]
    mimics = [
        (
            g,
            *(figure_text(figures.get(Section.KINDS, n, VERTEBRA, g)) for n in (alarm, told)),
            _count(figures, alarm, g),
        )
        for g in groups
        if g not in fractures
    ]
    fixed = [(g, figures.get(Section.KINDS, names[-1], VERTEBRA, g)) for g in fractures] if names else []
    charts = [Chart(names[-1], interval_chart(fixed, (0.0, 1.0), label="sensitivity"), wide=True)] if fixed else []
    tables = [Table("Fractured vertebrae", ("", *names, "n"), tuple(rows))] if rows else []
    tables += [Table("Vertebrae without a fracture", ("", alarm, told, "n"), tuple(mimics))] if mimics else []
    yield Part(
        "Fractures and mimics",
        "A vertebra counts under each type of its fractures, and under its highest severity: 1 barely visible, 5 "
        "displaced. Mimics only look like fractures.",
        tuple(charts),
        tuple(tables),
    )


def _count(figures: Figures, name: str, group: str) -> str:
    return str(figures.get(Section.KINDS, name, VERTEBRA, group).n)


def _beside(figures: Figures) -> Iterator[Part]:
    """Yield readers and other systems: tables of the same form."""
    for section, title, words in (
        (
            Section.READERS,
            "Readers",
            "“System” calls what it rules in; “either” is called when one of the two calls it. Only studies and levels "
            "that the reader called count.",
        ),
        (
            Section.COMPARISON,
            "Other systems on the same studies",
            "Differences are this system minus the other, on the same draws of studies; an interval clear of 0 is a "
            "difference. A lower loss is better.",
        ),
    ):
        tables = []
        for group in figures.groups(section):
            own = [f for f in figures.all(section) if f.group == group]
            targets = list(dict.fromkeys(f.target for f in own))
            rows = [
                (name, *(figure_text(figures.get(section, name, target, group)) for target in targets))
                for name in dict.fromkeys(f.name for f in own)
            ]
            tables.append(Table(group, ("", *targets), tuple(rows)))
        if tables:
            yield Part(title, words, (), tuple(tables))


def _cost(figures: Figures) -> Iterator[Part]:
    own = figures.all(Section.COST)
    if own:
        rows = [(f.name, figure_text(f.estimate), str(f.estimate.n)) for f in own]
        yield Part(
            "Time and memory",
            "Of the studies that were measured; reading included, rendering and sending not.",
            (),
            (Table("Per study", ("", "value", "n"), tuple(rows)),),
        )


_MAKERS: tuple[Callable[[Figures], Iterator[Part]], ...] = (
    _decisions,
    _discrimination,
    _calibration,
    _boxes,
    _kinds,
    _subgroups,
    _beside,
    _cost,
)
