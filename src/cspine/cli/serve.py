"""`cspine serve`, `account` and `feedback`: run the service, say who may use it, take out what radiologists said."""

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cspine.cli.guard import run_command

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from cspine.cli.exit_codes import ExitCode
    from cspine.service import Accounts
    from cspine.stores import ReceivedStudy

Config = Annotated[
    Path, typer.Option("--config", "-c", metavar="FILE", readable=False, help="Settings of the service, as TOML.")
]
RoleName = Annotated[str, typer.Option("--role", help="viewer, operator or admin.")]

feedback = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Take out what radiologists answered.")
account = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Say who may use the service.")


def serve(
    config: Config = Path("cspine.toml"),
    *,
    example: Annotated[bool, typer.Option("--example", help="Print a settings file with every default.")] = False,
) -> None:
    """Run the service: uploads, workers, worklist and viewer in the browser."""
    run_command(lambda: _example() if example else _serve(config))


@account.command("add")
def add(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    *,
    role: RoleName = "viewer",
    config: Config = Path("cspine.toml"),
) -> None:
    """Make an account; its password is asked for, or read from the standard input."""
    run_command(lambda: _add(name, role, config))


@account.command("key")
def key(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    *,
    role: RoleName = "operator",
    days: Annotated[float, typer.Option("--days", min=0.01, max=3650, help="How long it is good for.")] = 365,
    config: Config = Path("cspine.toml"),
) -> None:
    """Make a key for a program and print it, this once."""
    run_command(lambda: _key(name, role, days, config))


@account.command("list")
def listing(*, config: Config = Path("cspine.toml")) -> None:
    """Print all accounts."""
    run_command(lambda: _list(config))


@account.command("remove")
def remove(name: Annotated[str, typer.Argument(metavar="NAME")], *, config: Config = Path("cspine.toml")) -> None:
    """Remove an account and end its sessions."""
    run_command(lambda: _remove(name, config))


@feedback.command("export")
def export(
    out: Annotated[Path, typer.Argument(metavar="OUT", readable=False, help="A new folder.")],
    *,
    config: Config = Path("cspine.toml"),
) -> None:
    """Write the studies that radiologists answered in full as a set to train on, in the layout of RSNA 2022.

    Images are de-identified. Trainings take it by --data OUT, or add it to yours: cspine data join, and for the
    flagship --add-feedback OUT.
    """
    run_command(lambda: _export(out, config))


def handing_over(config: Path) -> "Callable[[ReceivedStudy], None]":
    """Return what hands a received study to the service with these settings.

    The same study again is the same job: the service knows studies by their content.
    """
    service = _service()
    settings = service.read_config(config)
    service.check_room(settings)
    parts = service.open_parts(settings, service.bundle_of(settings).id)
    taking: Callable[[ReceivedStudy], None] = service.handing_over(parts)
    return taking


def _serve(config: Path) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode

    service = _service()
    service.run_service(service.read_config(config), lambda text: typer.echo(text, err=True))
    return ExitCode.DONE


def _example() -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode

    typer.echo(_service().example_config(), nl=False)
    return ExitCode.DONE


def _add(name: str, role: str, config: Path) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode

    if sys.stdin.isatty():
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\n")
    _accounts(config).add(name, _service().Role.named(role), password)
    typer.echo(f"{name} is {role}")
    return ExitCode.DONE


def _key(name: str, role: str, days: float, config: Path) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode

    typer.echo(_accounts(config).add_key(name, _service().Role.named(role), days))
    return ExitCode.DONE


def _list(config: Path) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode

    for one in _accounts(config).listed():
        typer.echo(f"{one['name']:<24} {one['role']}")
    return ExitCode.DONE


def _remove(name: str, config: Path) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode

    _accounts(config).remove(name)
    typer.echo(f"{name} is removed")
    return ExitCode.DONE


def _export(out: Path, config: Path) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode
    from cspine.dicom import FACE_WARNING

    service = _service()
    settings = service.read_config(config)
    counts = service.write_set(settings, service.open_feedback(settings), out)
    typer.echo(
        f"{out}: {counts.studies} studies with {counts.boxes} boxes; {counts.left_out} left out: "
        "not answered in full, or not single numbered slices"
    )
    typer.echo(FACE_WARNING, err=True)
    return ExitCode.DONE


def _accounts(config: Path) -> "Accounts":
    service = _service()
    opened: Accounts = service.open_accounts(service.read_config(config))
    return opened


def _service() -> "ModuleType":
    """Return the layer, which needs packages that not everybody installs."""
    from cspine.domain import ConfigError

    try:
        return import_module("cspine.service")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the service needs {error.name}, which is not installed; install it with: pip install 'cspine[serve]'"
        ) from error
