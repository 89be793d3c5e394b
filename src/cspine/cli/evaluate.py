"""`cspine evaluate`: figures with intervals, on data with known truth."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from cspine.cli import evaluate_studies
from cspine.cli.guard import printable, run_command
from cspine.cli.options import Bundle, Threads, Verbose, default_threads

if TYPE_CHECKING:
    from cspine.cli.exit_codes import ExitCode
    from cspine.evaluation import CaseScore, VertebraSummary


class _Group(TyperGroup):
    """``cspine evaluate BUNDLE …`` is ``cspine evaluate studies BUNDLE …``."""

    default = "studies"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        own = not args or args[0] in self.commands or "--metric" in args or args[0] in ctx.help_option_names
        return super().parse_args(ctx, args if own else [self.default, *args])


app = typer.Typer(
    cls=_Group, rich_markup_mode=None, no_args_is_help=True, help="Score a detector, or its parts, on known truth."
)
app.command("studies")(evaluate_studies.studies)


@app.callback(invoke_without_command=True)
def group(
    context: typer.Context,
    *,
    metric: Annotated[
        str | None, typer.Option("--metric", help="rsna: the loss of the RSNA 2022 challenge, of a --submission.")
    ] = None,
    submission: Annotated[
        Path | None, typer.Option("--submission", metavar="FILE", readable=False, help="row_id,fractured.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", metavar="FILE", readable=False, help="In the columns of train.csv.")
    ] = None,
    split: Annotated[
        Path | None, typer.Option("--split", metavar="FILE", readable=False, help="Score one part of a split only.")
    ] = None,
    part: Annotated[str, typer.Option("--part", help="Which part of the split.")] = "test",
) -> None:
    """Score a bundle on data with known truth, or a submission by the metric of the RSNA 2022 challenge."""
    if context.invoked_subcommand is None:
        run_command(lambda: _by_metric(metric, submission, labels, (split, part)))


def _by_metric(
    metric: str | None, submission: Path | None, labels: Path | None, split: tuple[Path | None, str]
) -> "ExitCode":
    from cspine.cli.dataset_submission import score
    from cspine.domain import ConfigError

    if metric != "rsna":
        raise ConfigError(f"--metric is {metric!r}; known is rsna")
    if submission is None or labels is None:
        raise ConfigError("--metric rsna needs --submission FILE and --labels FILE")
    return score(submission, labels, split)


@app.command("vertebrae")
def vertebrae(
    *,
    bundle: Bundle = None,
    anatomy: Annotated[
        str, typer.Option("--anatomy", metavar="NAME", help="'procedural', or a folder of meshes.")
    ] = "procedural",
    family: Annotated[str, typer.Option("--family", help="Scanner family; B is never trained on.")] = "B",
    cases: Annotated[int, typer.Option("--cases", min=1, help="How many phantoms.")] = 100,
    seed: Annotated[int, typer.Option("--seed", help="Other seeds make other phantoms.")] = 77,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that make phantoms.")] = 3,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="ROOT",
            readable=False,
            help="Phantoms with masks, as `phantom make --layout rsna` writes them; instead of making some.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Also write every score as CSV.")] = None,
    threads: Threads = None,
    verbose: Verbose = False,
) -> None:
    """Name, center and outline vertebrae of PHANTOMS and print the figures."""
    options = {"anatomy": anatomy, "family": family, "cases": cases, "seed": seed, "workers": workers}
    run_command(lambda: _vertebrae(bundle, options, data, threads, out), verbose=verbose)


def _vertebrae(
    bundle: Path | None, options: dict[str, object], data: Path | None, threads: int | None, out: Path | None
) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode
    from cspine.models import default_bundle_path, load_bundle
    from cspine.pipeline import Analyzer
    from cspine.workflow import EvaluationPlan, make_evaluation_cases, score_cases, score_stored, summaries

    plan = EvaluationPlan(**options)  # type: ignore[arg-type]  # names and kinds are those of the options above
    loaded = load_bundle(bundle or default_bundle_path())
    analyzer = Analyzer(loaded, threads=threads or default_threads())

    def report(score: "CaseScore", done: int) -> None:
        typer.echo(printable(f"{done} {score.group}: {'right' if score.right else 'WRONG'}"), err=True)

    if data is None:
        scores = score_cases(analyzer, make_evaluation_cases(plan), report)
        made = f"anatomy {Path(plan.anatomy).name}, family {plan.family}, seed {plan.seed}"
    else:
        scores, made = score_stored(analyzer, data, report), f"set {data.resolve().name}"
    typer.echo(printable(f"PHANTOM figures: {made}, {len(scores)} cases, bundle {loaded.short_id}"))
    for summary in summaries(scores):
        typer.echo(_row(summary))
    if out is not None:
        out.write_text(_csv(scores))
    return ExitCode.DONE


def _row(summary: "VertebraSummary") -> str:
    figures = {
        "named right": summary.named,
        "cases right": summary.cases_right,
        "Dice": summary.dice,
        "center error mm": summary.center_error_mm,
        "invented": summary.invented,
        "flagged": summary.flagged,
        "silently wrong": summary.silently_wrong,
    }
    return f"{summary.group}\n" + "\n".join(f"  {name:<16} {value}" for name, value in figures.items())


def _csv(scores: "list[CaseScore]") -> str:
    lines = ["case,field,vertebra,visible,reported,center_error_mm,dice,uncertain"]
    for case in scores:
        for v in case.vertebrae:
            error = "" if v.center_error_mm is None else f"{v.center_error_mm:.2f}"
            overlap = "" if v.dice is None else f"{v.dice:.4f}"
            head = f"{case.name},{case.group},{v.vertebra.name},{v.visible:.3f},{v.reported:.3f}"
            lines.append(f"{head},{error},{overlap},{int(v.uncertain)}")
    return "\n".join(lines) + "\n"
