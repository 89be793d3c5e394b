"""`cspine listen`: receive studies from scanners and archives, and read them."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cspine.cli import options
from cspine.cli.detect import EngineChoice, make_analyzer
from cspine.cli.guard import printable, run_command

if TYPE_CHECKING:
    from cspine.cli.exit_codes import ExitCode
    from cspine.stores import Inbox, ReceivedStudy, ReceiverConfig

_GB = 2**30
_DAY_S = 86_400


@dataclass(frozen=True)
class Wanted:
    """What becomes of a received study."""

    quiet_s: float
    keep_days: float | None
    stop_after: int | None
    out: Path | None
    send_to: str | None
    service: Path | None
    access: Path | None
    choice: EngineChoice
    as_json: bool


Folder = Annotated[
    Path, typer.Argument(metavar="[DIR]", readable=False, help="Where studies are kept until they are forgotten.")
]
AeTitle = Annotated[str, typer.Option("--ae-title", metavar="TITLE", help="Our AE title.")]
Host = Annotated[
    str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on; default: this machine only.")
]
Port = Annotated[int, typer.Option("--port", min=0, max=65_535, help="0 takes any that is free.")]
AllowFrom = Annotated[
    list[str] | None,
    typer.Option("--allow-from", metavar="NETWORK", help="May connect: 10.1.2.3 or 10.1.0.0/16; default: us only."),
]
AllowAe = Annotated[
    list[str] | None, typer.Option("--allow-ae", metavar="TITLE", help="AE titles that may call; default: any.")
]
Associations = Annotated[int, typer.Option("--associations", min=1, max=1_000, help="At a time.")]
MaxGb = Annotated[float, typer.Option("--max-gb", min=0.001, help="What DIR may hold.")]
KeepFreeGb = Annotated[float, typer.Option("--keep-free-gb", min=0.0, help="That stay free on its disk.")]
Quiet = Annotated[
    float, typer.Option("--quiet", metavar="SECONDS", min=0.1, help="A study is complete after so long a pause.")
]
KeepDays = Annotated[
    float | None, typer.Option("--keep-days", min=0.0, help="Forget studies that are done; default: never.")
]
TlsCert = Annotated[
    Path | None, typer.Option("--tls-cert", metavar="FILE", readable=False, help="Speak TLS with this certificate.")
]
TlsKey = Annotated[
    Path | None, typer.Option("--tls-key", metavar="FILE", readable=False, help="Its key, without a passphrase.")
]
TlsCa = Annotated[
    Path | None,
    typer.Option("--tls-ca", metavar="FILE", readable=False, help="Ask callers for a certificate from there."),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="DIR", readable=False, help="Read each study, and write results there."),
]
SendTo = Annotated[
    str | None, typer.Option("--send-to", metavar="ADDRESS", help="Send the results to this archive, too.")
]
ToService = Annotated[
    Path | None,
    typer.Option(
        "--to-service", metavar="FILE", readable=False, help="Hand each study to the service with these settings."
    ),
]
StopAfter = Annotated[int | None, typer.Option("--stop-after", min=1, help="End after so many studies.")]
JsonLines = Annotated[bool, typer.Option("--json", help="Print one JSON document a line for each study.")]


def listen(
    folder: Folder = Path("cspine-inbox"),
    *,
    ae_title: AeTitle = "CSPINE",
    host: Host = "127.0.0.1",
    port: Port = 11_112,
    allow_from: AllowFrom = None,
    allow_ae: AllowAe = None,
    associations: Associations = 8,
    max_gb: MaxGb = 200.0,
    keep_free_gb: KeepFreeGb = 2.0,
    quiet: Quiet = 30.0,
    keep_days: KeepDays = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_ca: TlsCa = None,
    out: Out = None,
    send_to: SendTo = None,
    to_service: ToService = None,
    access: options.AccessFile = None,
    stop_after: StopAfter = None,
    engine: options.Engine = "openvino",
    threads: options.Threads = None,
    bundle: options.Bundle = None,
    precision: options.Precision = None,
    prevalence: options.Prevalence = 0.05,
    as_json: JsonLines = False,
    verbose: options.Verbose = False,
) -> None:
    """Receive studies by C-STORE until stopped; say when one is complete; with --out, read it.

    Success is answered only for what is on the disk; a full disk is answered with A700. Late or changed objects make a
    new version of their study, which supersedes.
    """
    choice = EngineChoice(engine, threads, bundle, precision, prevalence)
    wanted = Wanted(quiet, keep_days, stop_after, out, send_to, to_service, access, choice, as_json)

    def command() -> "ExitCode":
        from cspine.stores import Inbox, InboxLimits, ReceiverConfig, TlsFiles

        config = ReceiverConfig(
            ae_title,
            host,
            port,
            tuple(allow_ae or ()),
            associations=associations,
            tls=TlsFiles(tls_cert, tls_key, tls_ca) if tls_cert or tls_key or tls_ca else None,
            networks=tuple(allow_from) if allow_from else ReceiverConfig.networks,
        )
        limits = InboxLimits(total_bytes=int(max_gb * _GB), free_bytes=int(keep_free_gb * _GB))
        return _listen(config, Inbox(folder, limits), wanted)

    run_command(command, verbose=verbose)


def _listen(config: "ReceiverConfig", inbox: "Inbox", wanted: Wanted) -> "ExitCode":
    import threading

    from cspine.cli.exit_codes import ExitCode
    from cspine.stores import Delivery, Receiver

    take_over, stop = _taking_over(wanted), threading.Event()
    left = [wanted.stop_after]

    def on_study(study: "ReceivedStudy") -> None:
        _tell(study, wanted.as_json)
        take_over(study)
        if left[0] is not None:
            left[0] -= 1
            if left[0] <= 0:
                stop.set()

    keep_s = None if wanted.keep_days is None else wanted.keep_days * _DAY_S
    delivery = Delivery(inbox, wanted.quiet_s, on_study, keep_s=keep_s, report=_complain)
    with Receiver(config, inbox, _complain) as receiver:
        place = f"{config.ae_title} listens on {config.host}:{receiver.port}"
        typer.echo(printable(f"{place}{' with TLS' if config.tls else ''}; Ctrl-C ends"), err=True)
        receiver.run(delivery, stop)
    return ExitCode.DONE


def _taking_over(wanted: Wanted) -> "Callable[[ReceivedStudy], None]":
    """Return what is done with a complete study."""
    from cspine.cli.outcome import Printer
    from cspine.domain import ConfigError

    if wanted.service is not None:
        if wanted.out is not None or wanted.send_to is not None:
            raise ConfigError("--to-service goes without --out and --send-to: the service keeps the results")
        from cspine.cli.serve import handing_over

        return handing_over(wanted.service)
    if wanted.out is None:
        if wanted.send_to is not None:
            raise ConfigError("--send-to needs --out: results are stored there before they are sent")
        return lambda study: None
    from cspine.stores import open_store, read_access
    from cspine.workflow import DICOM_GROUP, Incoming, Wish

    access = None if wanted.access is None else read_access(wanted.access)
    archive = None if wanted.send_to is None else open_store(wanted.send_to, access)
    kinds = ("json", "html", *((DICOM_GROUP,) if archive is not None else ()))
    printer = Printer(wanted.as_json, False)
    return Incoming(make_analyzer(wanted.choice), Wish(kinds, wanted.out, archive=archive), printer.take)


def _tell(study: "ReceivedStudy", as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(study) | {"folder": str(study.folder)}))
    else:
        size = f"{study.objects} objects, {study.size_bytes / 1e6:.1f} MB"
        typer.echo(printable(f"study {study.study_uid}, version {study.version}: {size}, in {study.folder}"))


def _complain(sentence: str) -> None:
    typer.echo(printable(f"! {sentence}"), err=True)
