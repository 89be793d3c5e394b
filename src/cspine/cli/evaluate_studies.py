"""`cspine evaluate BUNDLE|RUN --data ROOT --out DIR`: a detector on studies with known truth, as one page."""

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cspine.cli import options
from cspine.cli.guard import printable, run_command

if TYPE_CHECKING:
    from collections.abc import Callable

    from cspine.cli.exit_codes import ExitCode
    from cspine.datasets import KnownStudy
    from cspine.evaluation import DetectorEvaluation, Priors
    from cspine.workflow import AnsweredSet

_MANIFEST = "manifest.json"


Target = Annotated[
    Path,
    typer.Argument(
        metavar="BUNDLE|RUN",
        readable=False,
        help="A model bundle, a training run that holds one, a folder of findings.json, or a CSV of probabilities.",
    ),
]
Root = Annotated[
    Path, typer.Option("--data", metavar="ROOT", readable=False, help="Folder with train.csv and train_images/<uid>.")
]
Out = Annotated[
    Path, typer.Option("--out", "-o", metavar="DIR", readable=False, help="Where page, tables and findings go.")
]
Readers = Annotated[
    Path | None,
    typer.Option(
        "--readers",
        metavar="CSV",
        readable=False,
        help="Calls: StudyInstanceUID, reader, patient_overall, C1 … C7.",
    ),
]
Others = Annotated[
    list[str] | None,
    typer.Option("--beside", metavar="NAME=RESULTS", help="Another system's findings or CSV; may be repeated."),
]
Prevalence = Annotated[
    float | None,
    typer.Option(
        "--prevalence", min=0.001, max=0.999, help="Score probabilities as they are at this share of fractured studies."
    ),
]
Stated = Annotated[
    float | None,
    typer.Option("--stated-prevalence", min=0.001, max=0.999, help="The share that the probabilities of RUN hold for."),
]
Threshold = Annotated[
    float | None,
    typer.Option("--threshold", min=0.0, max=1.0, help="Of a CSV: from here on ruled in, below ruled out."),
]
AnsweredOnly = Annotated[bool, typer.Option("--answered-only", help="Leave out studies that RUN says nothing of.")]
SplitFile = Annotated[
    Path | None, typer.Option("--split", metavar="FILE", readable=False, help="Use one part of a split only.")
]
Part = Annotated[str, typer.Option("--part", help="Which part of the split.")]
Limit = Annotated[int, typer.Option("--limit", min=0, help="Use the first N studies only; 0: all.")]
Draws = Annotated[int, typer.Option("--draws", min=2, max=100_000, help="Draws of studies for intervals.")]
Worst = Annotated[int, typer.Option("--worst", min=0, max=100, help="Misses, and false alarms, to show.")]


@dataclass(frozen=True)
class _Request:
    """What was asked for on the command line."""

    target: Path
    data: Path
    out: Path
    readers: Path | None
    beside: tuple[str, ...]
    prevalences: tuple[float | None, float | None]
    threshold: float | None
    answered_only: bool
    split: tuple[Path | None, str]
    sizes: tuple[int, int, int]
    engine: tuple[str, int | None]


def studies(
    target: Target,
    data: Root,
    out: Out,
    *,
    readers: Readers = None,
    beside: Others = None,
    prevalence: Prevalence = None,
    stated: Stated = None,
    threshold: Threshold = None,
    answered_only: AnsweredOnly = False,
    split: SplitFile = None,
    part: Part = "test",
    limit: Limit = 0,
    draws: Draws = 1000,
    worst: Worst = 6,
    engine: options.Engine = "openvino",
    threads: options.Threads = None,
    verbose: options.Verbose = False,
) -> None:
    """Score a detector on studies with known truth: DIR/evaluation.html, evaluation.json and CSV tables.

    A bundle is run on every study first; its findings stay in DIR/studies, and a run that was stopped goes on.
    """
    request = _Request(
        target,
        data,
        out,
        readers,
        tuple(beside or ()),
        (stated, prevalence),
        threshold,
        answered_only,
        (split, part),
        (limit, draws, worst),
        (engine, threads),
    )
    run_command(lambda: _evaluate(request), verbose=verbose)


def _evaluate(request: _Request) -> "ExitCode":
    from cspine import __version__
    from cspine.cli.exit_codes import ExitCode
    from cspine.cli.terminal import progress_bar
    from cspine.datasets import read_readers
    from cspine.evaluation import EvaluationSettings
    from cspine.report import EvaluationTitle
    from cspine.workflow import Beside, run_evaluation, write_evaluation

    known = known_of(request.data, *request.split)[: request.sizes[0] or None]
    others = Beside(() if request.readers is None else read_readers(request.readers), _others(request))
    with progress_bar(shown=True) as bar:
        answered, system, (priors, stated, wanted) = _answered(request, known, bar)
        _, draws, worst = request.sizes
        bar("figures", 0.0)
        found = run_evaluation(answered, EvaluationSettings(priors, stated, wanted, draws, worst=worst), others)
        phantom = all((request.data / "truth" / f"{s.files.uid}.json").is_file() for s in answered.known)
        software, today = f"cspine {__version__}", date.today().isoformat()
        title = EvaluationTitle(*system, request.data.resolve().name, software, today, phantom)
        page = write_evaluation(found, answered, title, request.out, bar)
    _say(found, answered)
    typer.echo(printable(f"{page}"))
    return ExitCode.DONE


def known_of(root: Path, split: Path | None, part: str) -> "tuple[KnownStudy, ...]":
    """Return the labeled studies of a set, or those of one part of a split.

    Raises
    ------
    ConfigError
        The part has none of them.
    """
    from cspine.datasets import read_known, read_split
    from cspine.domain import ConfigError

    known = read_known(root)
    if split is not None:
        wanted = set(read_split(split).studies_of(part))
        known = tuple(study for study in known if study.files.uid in wanted)
    if not known:
        raise ConfigError(f"part {part!r} of {split} has none of the studies of {root}")
    return known


def _answered(
    request: _Request, known: "tuple[KnownStudy, ...]", bar: "Callable[[str, float], None]"
) -> "tuple[AnsweredSet, tuple[str, str], tuple[Priors, float | None, float | None]]":
    """Return answers, name and identity of the system, and priors with the shares that p holds for and is moved to."""
    from cspine.datasets import read_answers
    from cspine.evaluation import RSNA_PRIORS, TRAUMA_PREVALENCE
    from cspine.models import load_bundle
    from cspine.pipeline import Analyzer
    from cspine.workflow import answered_by_bundle, answered_by_findings, stated_errors, tuning_priors

    places = (request.target, request.target / "bundle")
    place = next((p for p in places if (p / _MANIFEST).is_file()), None)
    if place is None:
        bar("read answers", 0.0)
        given = read_answers(request.target, request.threshold)
        answered = answered_by_findings(known, given, only_answered=request.answered_only)
        return answered, (request.target.resolve().name, ""), (RSNA_PRIORS, *request.prevalences)
    bundle = load_bundle(place)
    engine, threads = request.engine
    threads = threads or options.default_threads()
    analyzer = Analyzer(bundle, engine=engine, threads=threads, prevalence=TRAUMA_PREVALENCE)
    answered = answered_by_bundle(known, analyzer, bundle.manifest.id, request.out, bar)
    priors = tuning_priors(bundle.manifest.calibration)
    wanted = request.prevalences[1] or priors.study
    answered = replace(answered, notes=(*stated_errors(bundle.manifest.calibration), *answered.notes))
    return answered, (bundle.manifest.name, bundle.manifest.id), (priors, TRAUMA_PREVALENCE, wanted)


def _others(request: _Request) -> dict[str, Any]:
    from cspine.datasets import read_answers
    from cspine.domain import ConfigError

    found = {}
    for text in request.beside:
        name, separator, place = text.partition("=")
        if not separator or not name or not place:
            raise ConfigError(f"--beside is {text!r}; give NAME=RESULTS")
        found[name] = read_answers(Path(place), request.threshold)
    return found


def _say(found: "DetectorEvaluation", answered: "AnsweredSet") -> None:
    from cspine.evaluation import Section
    from cspine.report import figure_text

    typer.echo(f"{len(found.scored)} studies, {int(found.scored.labels[:, 0].sum())} with a fracture")
    lines = (
        ("AUC, study", Section.DISCRIMINATION, "AUC", "study"),
        ("AUC, vertebra", Section.DISCRIMINATION, "AUC", "vertebra"),
        ("loss of q, global", Section.LOSS, "weighted log loss of q, global", "all targets"),
        ("fractured called rule-out", Section.DECISIONS, "fractured called rule-out", "study"),
        ("abstention", Section.DECISIONS, "abstention", "study"),
    )
    for text, section, name, target in lines:
        estimate = found.find(section, name, target)
        typer.echo(f"  {text:<26} {figure_text(estimate)}, n = {estimate.n}")
    if found.refused:
        typer.echo(f"! {len(found.refused)} studies have no answer; they count as not assessed")
    for note in answered.notes[:20]:
        typer.echo(printable(f"! {note}"))
