"""`cspine pacs`: ask an archive, and send results to it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cspine.cli.guard import printable, run_command
from cspine.cli.options import AccessFile, Json, Verbose

if TYPE_CHECKING:
    from cspine.cli.exit_codes import ExitCode
    from cspine.dicom import StudyQuery
    from cspine.stores import RemoteStore

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Ask an archive (PACS), and send results to it.")


@app.callback()
def group() -> None:
    """Ask an archive (PACS), and send results to it.

    ADDRESS is dicomweb://HOST[:PORT]/PATH (dicomwebs:// over TLS) or dimse://[OUR-TITLE@]HOST[:PORT]/TITLE (dimses://
    over TLS; with ?move=HOST:PORT for an archive that only knows C-MOVE).
    """


Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="dicomweb://HOST/PATH or dimse://HOST/TITLE.")]


@app.command("echo")
def echo(address: Address, access: AccessFile = None, verbose: Verbose = False) -> None:
    """Ask whether an archive is there and lets us in."""
    run_command(lambda: _echo(address, access), verbose=verbose)


@app.command("find")
def find(
    address: Address,
    *,
    study: Annotated[str, typer.Option("--study", metavar="UID")] = "",
    patient_id: Annotated[str, typer.Option("--patient-id", metavar="ID")] = "",
    accession: Annotated[str, typer.Option("--accession", metavar="NUMBER")] = "",
    date: Annotated[str, typer.Option("--date", metavar="YYYYMMDD[-YYYYMMDD]")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many.")] = 50,
    access: AccessFile = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """List studies of an archive: UID, date, modalities, images, description. Names of patients are not asked for."""

    def command() -> "ExitCode":
        from cspine.dicom import StudyQuery

        return _find(_store(address, access), StudyQuery(study, patient_id, accession, date), limit, as_json)

    run_command(command, verbose=verbose)


@app.command("send")
def send(
    address: Address,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", readable=False, help="Where `cspine detect --format dicom` wrote results.")
    ],
    access: AccessFile = None,
    verbose: Verbose = False,
) -> None:
    """Send the DICOM results that lie in a folder; sending them twice is one result."""
    run_command(lambda: _send(address, folder, access), verbose=verbose)


def _store(address: str, access: Path | None) -> "RemoteStore":
    from cspine.stores import open_store, read_access

    return open_store(address, None if access is None else read_access(access))


def _echo(address: str, access: Path | None) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode

    store = _store(address, access)
    store.echo()
    typer.echo(printable(f"{store.name} answers"))
    return ExitCode.DONE


def _find(store: "RemoteStore", query: "StudyQuery", limit: int, as_json: bool) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode

    found = store.find_studies(query, limit)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=2))
        return ExitCode.DONE
    for one in found:
        images = "?" if one.images is None else one.images
        columns = (one.study_uid, one.study_date, one.modalities.replace("\\", ","), f"{images} images")
        typer.echo(printable("  ".join((*columns, one.description)).rstrip()))
    more = "; there may be more, see --limit" if len(found) == limit else ""
    typer.echo(f"{len(found)} studies{more}")
    return ExitCode.DONE


def _send(address: str, folder: Path, access: Path | None) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode
    from cspine.workflow import send_folder

    for receipt in send_folder(folder, _store(address, access)):
        typer.echo(printable(f"{receipt.where}  {receipt.size_bytes} bytes"))
    return ExitCode.DONE
