"""`cspine bundle`: look at a model bundle, and check it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cspine.cli.guard import printable, run_command
from cspine.cli.options import Json, Verbose

if TYPE_CHECKING:
    from cspine.cli.exit_codes import ExitCode
    from cspine.models import ModelBundle, TensorSpec

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Show and check model bundles.")

Folder = Annotated[
    Path | None, typer.Argument(metavar="[DIR]", readable=False, help="Bundle; default: the one inside the package.")
]


@app.command("show")
def show(bundle: Folder = None, as_json: Json = False, verbose: Verbose = False) -> None:
    """Say what a bundle is: identity, graphs, labels, provenance; -v prints the model card, too."""
    run_command(lambda: _show(bundle, as_json, verbose), verbose=verbose)


@app.command("verify")
def verify(bundle: Folder = None, verbose: Verbose = False) -> None:
    """Check every file of a bundle against its hash; exit code 4 when one differs."""
    run_command(lambda: _verify(bundle), verbose=verbose)


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
