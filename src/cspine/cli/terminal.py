"""What people see in a terminal: a progress bar with the stage, and the table of seven. Imported when it is needed."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from cspine.cli.guard import printable
from cspine.domain import Decision, Findings, VertebraFinding

if TYPE_CHECKING:
    from cspine.evaluation import CaseScore, Check, VertebraScore

STYLES = {
    Decision.RULE_IN: "bold red",
    Decision.UNCERTAIN: "yellow",
    Decision.RULE_OUT: "green",
    Decision.NOT_ASSESSED: "dim",
}
# Wide enough for the table when the output is no terminal, so that logs do not break lines.
PLAIN_WIDTH = 120
STAGE_WIDTH = 40


def console(*, stderr: bool = False) -> Console:
    """Return a console that never reads markup from texts."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PLAIN_WIDTH
    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False)


class Bar:
    """A progress bar on stderr: called with the running stage and the share of the whole that is done, 0 … 1."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._task = None if progress is None else progress.add_task("starting", total=1.0)

    def __call__(self, stage: str, share: float) -> None:
        """Show a stage."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, description=printable(stage)[:STAGE_WIDTH], completed=share)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Take the bar off the terminal while the block prints."""
        if self._progress is None:
            yield
            return
        self._progress.stop()
        yield
        self._progress.start()


@contextmanager
def progress_bar(shown: bool) -> Iterator[Bar]:
    """Show a bar while the block runs, if it is wanted and stderr is a terminal."""
    if not shown or not sys.stderr.isatty():
        yield Bar(None)
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    # Redirecting stdout would send the tables to stderr, too.
    with Progress(*columns, console=console(stderr=True), transient=True, redirect_stdout=False) as progress:
        yield Bar(progress)


def findings_table(title: str, findings: Findings) -> Table:
    """Return the table of seven."""
    table = Table(title=printable(title), title_justify="left", title_style="bold", show_edge=False)
    for name, justify in (("level", "left"), ("seen", "right"), ("fracture", "left"), ("probability", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]  # two of rich's four literals
    table.add_column("center x, y, z (LPS mm)", justify="right")
    table.add_column("note")
    for finding in findings.vertebrae:
        table.add_row(*_cells(finding))
    return table


def flag_lines(findings: Findings) -> list[Text]:
    """Return the flags, one line each."""
    return [Text.assemble(("! ", "yellow"), printable(f"{flag.code}: {flag.message}")) for flag in findings.flags]


def timing_line(timings_s: Mapping[str, float]) -> Text:
    """Return seconds per stage in one line."""
    parts = [f"{printable(stage)} {seconds:.2f}" for stage, seconds in timings_s.items()]
    return Text(f"seconds: {', '.join(parts)}; together {sum(timings_s.values()):.2f}", style="dim")


def _cells(finding: VertebraFinding) -> tuple[Text, ...]:
    center = finding.center_lps_mm
    place = "–" if center is None else "{:7.1f} {:7.1f} {:7.1f}".format(*center)
    probability = "–" if finding.probability is None else f"{finding.probability:.0%}"
    cells = (f"{finding.visible_fraction:.0%}", finding.decision.value, probability, place, finding.reason or "")
    style = "" if finding.visible_fraction > 0 else "dim"
    texts = [Text(printable(cell), style=style) for cell in cells]
    texts[1].stylize(STYLES[finding.decision])
    return (Text(finding.vertebra.name, style="bold" if finding.visible_fraction > 0 else "dim"), *texts)


def truth_table(score: "CaseScore") -> Table:
    """Return what is true of a phantom beside what was found."""
    table = Table(title="Compared with the truth", title_justify="left", title_style="bold", show_edge=False)
    table.add_column("level")
    table.add_column("truly seen", justify="right")
    table.add_column("found seen", justify="right")
    table.add_column("center off by", justify="right")
    table.add_column("")
    for one in score.vertebrae:
        error = "–" if one.center_error_mm is None else f"{one.center_error_mm:.1f} mm"
        verdict = Text("right", style="green") if _agrees(one) else Text("wrong", style="bold red")
        table.add_row(one.vertebra.name, f"{one.visible:.0%}", f"{one.reported:.0%}", error, verdict)
    return table


def checks_table(title: str, checks: "Sequence[Check]") -> Table:
    """Return the rows of one study of an acceptance test."""
    table = Table(title=printable(title), title_justify="left", title_style="bold", show_edge=False, expand=True)
    for name, ratio in (("question", 4), ("expected", 4), ("found", 5)):
        table.add_column(name, ratio=ratio)
    table.add_column("", width=len("not applicable"))
    styles = {"pass": "green", "fail": "bold red"}
    for check in checks:
        verdict = Text(check.verdict.value, style=styles.get(check.verdict.value, "dim"))
        table.add_row(*(Text(printable(cell)) for cell in (check.question, check.expected, check.found)), verdict)
    return table


def _agrees(one: "VertebraScore") -> bool:
    """Whether a vertebra counts as right: of one that is cut nothing is asked but that it is there."""
    return not one.invented and (one.right or not one.whole)
