"""`cspine`: the command line. Every command parses, calls one function, prints, and exits by `exit_codes`."""

from typing import Annotated

import typer

from cspine import __version__
from cspine.cli import (
    acceptance,
    bundle,
    dataset,
    demo,
    detect,
    evaluate,
    info,
    listen,
    pacs,
    phantom,
    recipes,
    serve,
    train,
)

HELP = "Finds, names and locates fractures of the cervical spine in CT."
EPILOG = """\b
Exit codes:
  0    done
  2    usage: a wrong option, or an impossible setting
  3    the input was refused
  4    the model bundle cannot be used
  5    internal error
  6    some of several studies were refused
  7    a store failed: a folder cannot be read or written, a disk is full, an archive is away
  8    an acceptance test found a wrong answer
  9    a training stopped: loss not a number, memory exhausted
  130  interrupted

Research use only. Not a medical device."""

app = typer.Typer(
    name="cspine",
    help=HELP,
    epilog=EPILOG,
    rich_markup_mode=None,  # plain help: formatting it with rich takes twice as long as everything else
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cspine {__version__}")
        raise typer.Exit


@app.callback(help=HELP, epilog=EPILOG)
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Take the options that stand before any command."""


app.command("acceptance")(acceptance.acceptance)
app.command("detect")(detect.detect)
app.command("demo")(demo.demo)
app.command("info")(info.info)
app.command("listen")(listen.listen)
app.command("serve")(serve.serve)
app.add_typer(serve.account, name="account")
app.add_typer(serve.feedback, name="feedback")
app.add_typer(bundle.app, name="bundle")
app.add_typer(dataset.app, name="data")
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(pacs.app, name="pacs")
app.add_typer(phantom.app, name="phantom")
app.add_typer(train.app, name="train")
app.add_typer(recipes.experiment, name="experiment")
app.command("export")(recipes.export)


def main() -> None:
    """Run the command line; the entry point of the package."""
    app()
