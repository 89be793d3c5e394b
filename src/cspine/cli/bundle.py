"""`cspine bundle`: look at a model bundle, and check it."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cspine.cli import options
from cspine.cli.guard import printable, run_command
from cspine.cli.options import Json, Threads, Verbose, default_threads

if TYPE_CHECKING:
    from cspine.cli.exit_codes import ExitCode
    from cspine.evaluation import ErrorLevels
    from cspine.models import ModelBundle, TensorSpec

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Show and check model bundles.")

Folder = Annotated[
    Path | None, typer.Argument(metavar="[DIR]", readable=False, help="Bundle; default: the one inside the package.")
]


def _share(name: str, words: str) -> Any:
    return typer.Option(name, min=0.001, max=0.5, help=words)


@app.command("show")
def show(bundle: Folder = None, as_json: Json = False, verbose: Verbose = False) -> None:
    """Say what a bundle is: identity, graphs, labels, provenance; -v prints the model card, too."""
    run_command(lambda: _show(bundle, as_json, verbose), verbose=verbose)


@app.command("verify")
def verify(bundle: Folder = None, verbose: Verbose = False) -> None:
    """Check every file of a bundle against its hash; exit code 4 when one differs."""
    run_command(lambda: _verify(bundle), verbose=verbose)


@app.command("card")
def card(
    bundle: Folder = None,
    *,
    text: Annotated[Path, typer.Option("--text", metavar="FILE", readable=False, help="The new model card, Markdown.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", readable=False, help="Folder of the new bundle.")],
    verbose: Verbose = False,
) -> None:
    """Give a bundle another model card, such as one with the figures of your own studies.

    The card is part of what a bundle is: the new one has another identity, and the same answers.
    """
    run_command(lambda: _card(bundle, text, out), verbose=verbose)


def _card(bundle: Path | None, text: Path, out: Path) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode
    from cspine.domain import ConfigError
    from cspine.models import default_bundle_path, load_bundle
    from cspine.workflow import with_card

    try:
        words = text.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{text}: cannot be read as text ({error}); give a Markdown file in UTF-8") from error
    if not words.strip():
        raise ConfigError(
            f"{text}: the model card is empty; say what the bundle is, what made it and what was measured"
        )
    old = load_bundle(bundle or default_bundle_path())
    made = with_card(old, words, out)
    typer.echo(printable(f"bundle {made.short_id} in {made.folder}: {old.short_id} with the card of {text.name}"))
    return ExitCode.DONE


@app.command("recalibrate")
def recalibrate(
    bundle: Folder = None,
    *,
    data: Annotated[
        Path,
        typer.Option("--data", metavar="ROOT", readable=False, help="Folder with train.csv and train_images/<uid>."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", readable=False, help="Folder of the new bundle.")],
    split: Annotated[
        Path | None, typer.Option("--split", metavar="FILE", readable=False, help="Use one part of a split only.")
    ] = None,
    part: Annotated[str, typer.Option("--part", help="Which part of the split.")] = "validation",
    vertebrae: Annotated[
        Path | None,
        typer.Option(
            "--vertebrae", metavar="DIR", readable=False, help="Take the vertebra networks of this bundle instead."
        ),
    ] = None,
    real: Annotated[
        Path | None,
        typer.Option(
            "--real",
            metavar="DIR",
            readable=False,
            help="Whole necks (NIfTI, even numbers): limits of rule-in are raised until none is called.",
        ),
    ] = None,
    mirrored: Annotated[
        bool | None, typer.Option("--mirrored/--not-mirrored", help="Fracture networks also answer for mirrored crops.")
    ] = None,
    second_look: options.SecondLook = None,
    version: Annotated[str | None, typer.Option("--version", help="Of the new bundle; default: as before.")] = None,
    level_miss: Annotated[
        float | None, _share("--level-miss", "Of fractured vertebrae ruled out; default: as in the bundle.")
    ] = None,
    level_alarm: Annotated[float | None, _share("--level-alarm", "Of other vertebrae ruled in.")] = None,
    study_miss: Annotated[float | None, _share("--study-miss", "Of fractured studies ruled out.")] = None,
    study_alarm: Annotated[float | None, _share("--study-alarm", "Of other studies ruled in.")] = None,
    threads: Threads = None,
    verbose: Verbose = False,
) -> None:
    """Choose calibration and limits on your own labeled studies; no network is trained.

    Measure the new bundle on other studies: cspine evaluate DIR --data ROOT.
    """
    shares = ((level_miss, level_alarm), (study_miss, study_alarm))
    wish = _Wish(bundle, data, out, vertebrae, real, mirrored, second_look, version)
    run_command(lambda: _recalibrate(wish, (split, part), shares, threads), verbose=verbose)


@dataclass(frozen=True)
class _Wish:
    """What is read, where the new bundle goes, and what it is to have otherwise."""

    bundle: Path | None
    data: Path
    out: Path
    vertebrae: Path | None
    real: Path | None
    mirrored: bool | None
    second_look: str | None
    version: str | None


def _recalibrate(
    wish: _Wish,
    chosen: tuple[Path | None, str],
    shares: tuple[tuple[float | None, float | None], tuple[float | None, float | None]],
    threads: int | None,
) -> "ExitCode":
    from cspine.cli.evaluate_studies import known_of
    from cspine.cli.exit_codes import ExitCode
    from cspine.cli.terminal import progress_bar
    from cspine.domain import BundleError, NoImages
    from cspine.evaluation import read_triage
    from cspine.pipeline import Analyzer, SecondLookSpec
    from cspine.workflow import Variant, recalibrated, score_site, unbroken_studies, variant_of, volumes_below

    if wish.out.exists():
        raise BundleError(f"{wish.out}: exists already; choose another folder or remove it first")
    known = known_of(wish.data, *chosen)
    with TemporaryDirectory() as scratch, progress_bar(shown=True) as bar:
        bundle = _load(wish.bundle)
        vertebrae = None if wish.vertebrae is None else _load(wish.vertebrae)
        second = None if wish.second_look is None else SecondLookSpec(options.level_names(wish.second_look))
        variant = Variant(vertebrae, wish.mirrored, second)
        if variant.is_other:
            bundle = variant_of(bundle, variant, Path(scratch) / "bundle")
        analyzer = Analyzer(bundle, threads=threads or default_threads())
        site = score_site(known, analyzer, bar)
        unbroken = []
        if wish.real is not None:
            bar("scans without a fracture", 1.0)
            unbroken = unbroken_studies(analyzer, (volume for _, volume in volumes_below(wish.real)))
            if not unbroken:
                raise NoImages(
                    f"{wish.real}: no scan (*.nii.gz, not of an odd number) that can be read and shows a neck"
                )
        for uid, reason in site.left_out.items():
            typer.echo(printable(f"{uid}: left out, {reason}"))
        old = read_triage(bundle.manifest.calibration)
        errors = [
            _errors(given, rule.errors)
            for given, rule in zip(shares, (old.level_rules[0], old.study_rule), strict=True)
        ]
        name = wish.data.resolve().name
        chosen_by = (errors[0], errors[1])
        made = recalibrated(bundle, site, name, chosen_by, wish.out, unbroken=unbroken, version=wish.version)
    broken, levels = site.fractured
    typer.echo(printable(f"{len(site.scored)} studies, {broken} fractured, {levels} fractured vertebrae with a score"))
    typer.echo(printable(f"bundle {made.short_id} in {made.folder}; measure it on other studies"))
    return ExitCode.DONE


def _errors(given: tuple[float | None, float | None], old: "ErrorLevels") -> "ErrorLevels":
    miss, alarm = given
    return replace(
        old,
        miss=old.miss if miss is None else miss,
        false_alarm=old.false_alarm if alarm is None else alarm,
    )


def _load(folder: Path | None) -> "ModelBundle":
    from cspine.models import default_bundle_path, load_bundle

    return load_bundle(folder or default_bundle_path())


def _show(folder: Path | None, as_json: bool, verbose: bool) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode

    bundle = _load(folder)
    manifest = bundle.manifest
    if as_json:
        typer.echo(json.dumps(json.loads(manifest.to_bytes()), indent=2))
        return ExitCode.DONE
    lines = [
        f"name       {manifest.name} {manifest.version}",
        f"id         {bundle.short_id}  ({bundle.id})",
        f"made by    {manifest.created_by}",
        f"precision  {manifest.precision}",
        f"license    {manifest.license}",
        f"folder     {bundle.folder}",
    ]
    for name, graph in sorted(manifest.graphs.items()):
        parity = manifest.parity.get(name)
        lines.append(f"graph      {name}: {_tensors(graph.inputs)} → {_tensors(graph.outputs)}")
        if parity is not None:
            lines.append(
                f"           differs from its network by {parity.max_abs_diff:.2g} (limit {parity.tolerance:.2g})"
            )
    lines += [f"labels     {name}: {', '.join(labels)}" for name, labels in sorted(manifest.labels.items())]
    chosen = manifest.thresholds.get("chosen_on")
    lines.append(f"thresholds {'chosen on ' + chosen if chosen else 'none: no fracture stage'}")
    typer.echo("\n".join(printable(line) for line in lines))
    if verbose:
        typer.echo("\n" + printable(bundle.card(), keep_lines=True))
    return ExitCode.DONE


def _verify(folder: Path | None) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode

    bundle = _load(folder)
    typer.echo(printable(f"{bundle.folder}: every file is as its manifest says"))
    typer.echo(printable(f"{bundle.manifest.name} {bundle.manifest.version}  id {bundle.id}"))
    return ExitCode.DONE


def _tensors(specs: "tuple[TensorSpec, ...]") -> str:
    return ", ".join(f"{t.name} ({', '.join('*' if n is None else str(n) for n in t.shape)})" for t in specs)
