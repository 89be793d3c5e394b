"""`cspine info`: what is installed, and what would run."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cspine.cli.guard import run_command

if TYPE_CHECKING:
    from cspine.cli.exit_codes import ExitCode

PACKAGES = ("numpy", "scipy", "pydicom", "highdicom", "imagecodecs", "nibabel", "openvino", "onnxruntime", "torch")


def info(as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False) -> None:
    """Say what is installed and what would run."""
    run_command(lambda: _print(as_json))


def _print(as_json: bool) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode

    facts = installation()
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return ExitCode.DONE
    bundle = facts["bundle"]
    typer.echo(f"cspine       {facts['cspine']}   (research use only, not a medical device)")
    typer.echo(f"python       {facts['python']} on {facts['platform']}")
    typer.echo(f"threads      {facts['threads']}")
    for engine, version in facts["engines"].items():
        typer.echo(f"engine       {engine} {version or 'not installed'}")
    typer.echo(f"bf16         {'yes' if facts['bf16'] else 'no: this processor computes in f32'}")
    typer.echo(
        f"bundle       {bundle['name']} {bundle['id'][:12]}" if bundle["id"] else f"bundle       {bundle['error']}"
    )
    for name, version in facts["packages"].items():
        typer.echo(f"  {name:<12} {version or 'not installed'}")
    return ExitCode.DONE


def installation() -> dict[str, Any]:
    """Return the facts that `cspine info` prints, as plain values."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from cspine import __version__
    from cspine.cli.options import default_threads
    from cspine.models import available_engines, processor_has_bf16

    packages: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = None
    return {
        "cspine": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "threads": default_threads(),
        "engines": {engine.value: number for engine, number in available_engines().items()},
        "bf16": processor_has_bf16(),
        "bundle": _bundle_facts(),
        "packages": packages,
    }


def _bundle_facts() -> dict[str, str | None]:
    from cspine.domain import BundleError
    from cspine.models import default_bundle_path, load_bundle

    try:
        bundle = load_bundle(default_bundle_path())
    except BundleError as error:
        return {"name": None, "id": None, "error": str(error)}
    return {"name": bundle.manifest.name, "id": bundle.id, "error": None}
