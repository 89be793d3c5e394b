"""`cspine train RECIPE`, `cspine experiment RECIPE` and `cspine export`: published systems, trained and tabled.

All recipes take the same options, so their commands are made from one table.
"""

import inspect
import os
import shlex
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cspine.cli.guard import printable, run_command
from cspine.cli.options import Verbose

if TYPE_CHECKING:
    from cspine.cli.exit_codes import ExitCode
    from cspine.cli.terminal import Bar
    from cspine.training import Order, System

# Name → what one run does, and what the table is.
NAMES: Mapping[str, tuple[str, str]] = {
    "slice-transfer": (
        "Train one network of Moustafa et al. 2025, which tells images with a fracture from images without.",
        "Run the table of Moustafa et al. 2025: every network with every optimizer, ensemble, thresholds, doubt.",
    ),
    "efficientnet-c1": (
        "Train one variant of Karno et al. 2023: is there a fracture of C1 in a slice?",
        "Run the tables of Karno et al. 2023: EfficientNet B0 to B7, two groups of studies, two losses.",
    ),
    "vertebra-slices": (
        "Run one task of Raghuvanshi et al.: levels of a slice by forest or network, fracture of a slice, boxes.",
        "Run the table of Raghuvanshi et al., forest against network, then fracture and boxes.",
    ),
    "study-multilabel": (
        "Train one network of the capstone report of 2022: eight answers for a study.",
        "Run the tables of the capstone report of 2022: four networks, folds, and the U-Net, working.",
    ),
    "semi-supervised": (
        "Train one network of Abdikhan 2023: supervised, semi-supervised, or on features learned without labels.",
        "Run the comparisons of Abdikhan 2023: three ways of learning, few labels, wrong labels, three planes.",
    ),
    "winner-2022": (
        "Train the design of the first place of RSNA 2022: vertebra by vertebra, then the study.",
        "Compare both models of the first place of RSNA 2022, their blend, and what a part left out costs.",
    ),
}

experiment = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Run a publication's whole table and write one page."
)


@experiment.callback()
def group() -> None:
    """Run a publication's whole table and write one page; needs: pip install 'cspine[train,data]'."""


# Name → type with option, default; no default: the option must be given.
_NEEDED = inspect.Parameter.empty
_BOTH: dict[str, tuple[Any, Any]] = {
    "data": (
        Annotated[
            Path,
            typer.Option(
                "--data",
                metavar="DIR",
                readable=False,
                help="Set in the layout of RSNA 2022, or phantom:STUDIES:SEED; slice-transfer: folder of images.",
            ),
        ],
        _NEEDED,
    ),
    "out": (Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the run.")], _NEEDED),
    "settings": (
        Annotated[
            list[str] | None,
            typer.Option("--set", metavar="KEY=VALUE", help="Change one field of the recipe; repeatable."),
        ],
        None,
    ),
    "weights": (
        Annotated[
            str | None,
            typer.Option("--weights", metavar="WHERE", help="What networks begin with: imagenet, none, or a file."),
        ],
        None,
    ),
    "resume": (Annotated[bool, typer.Option("--resume", help="Go on with the run that is in the folder.")], False),
    "cache": (
        Annotated[
            Path | None,
            typer.Option(
                "--cache",
                metavar="DIR",
                help="Where slices are kept between runs; default: stacks in the run's folder.",
            ),
        ],
        None,
    ),
    "device": (Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")], "auto"),
    "precision": (Annotated[str, typer.Option("--precision", help="f32, bf16 or f16 (mixed).")], "f32"),
    "workers": (
        Annotated[int, typer.Option("--workers", min=0, help="Processes that read and augment images.")],
        0,
    ),
    "threads": (Annotated[int, typer.Option("--threads", min=1, help="Threads of torch on the CPU.")], 2),
    "verbose": (Verbose, False),
}
_TRAIN: dict[str, tuple[Any, Any]] = {
    "folds": (Annotated[int, typer.Option("--folds", min=0, help="One network per fold; 0 takes one split.")], 0),
    "split": (
        Annotated[
            Path | None,
            typer.Option(
                "--split", metavar="FILE", readable=False, help="From cspine data split; default: the recipe's own."
            ),
        ],
        None,
    ),
    "allow_leaks": (
        Annotated[bool, typer.Option("--allow-leaks", help="Train on a split that leaks; every result is marked.")],
        False,
    ),
    "dry_run": (Annotated[bool, typer.Option("--dry-run", help="Say what a run would cost, and stop.")], False),
}
_EXPERIMENT: dict[str, tuple[Any, Any]] = {
    "origin": (Annotated[str, typer.Option("--origin", help="What is known of the images, for the page.")], "")
}


def add_trainings(app: typer.Typer) -> None:
    """Add ``train NAME`` of every system."""
    for name, (words, _) in NAMES.items():
        app.command(name, help=words)(_command(name, _train, _TRAIN))


def _command(
    name: str, act: "Callable[[System, dict[str, Any]], ExitCode]", own: dict[str, tuple[Any, Any]]
) -> Callable[..., None]:
    def command(**given: Any) -> None:
        run_command(lambda: act(_system(name), given), verbose=given["verbose"])

    options = [
        inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for key, (kind, default) in {**_BOTH, **own}.items()
    ]
    command.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]  # what typer makes options of
    command.__annotations__ = {option.name: option.annotation for option in options}
    return command


def _train(system: "System", given: dict[str, Any]) -> "ExitCode":
    from cspine.cli.terminal import progress_bar
    from cspine.training import with_settings, with_weights

    recipe = with_settings(with_weights(system.recipe(), given["weights"]), given["settings"] or [])
    with progress_bar(shown=not given["dry_run"] and _speaks()) as bar:
        if given["dry_run"]:
            return _told(system.cost(recipe, _order(system, {**given, "resume": True}, bar, keep=False)))
        lines = system.run(recipe, _order(system, given, bar))
    return _told(lines)


def _run_table(system: "System", given: dict[str, Any]) -> "ExitCode":
    from cspine.cli.terminal import progress_bar
    from cspine.training import with_settings, with_weights

    table = with_settings(with_weights(system.table(), given["weights"]), given["settings"] or [])
    with progress_bar(shown=_speaks()) as bar:
        page = system.page(table, _order(system, given, bar), _typed(), given["origin"])
    return _told([f"page {page}"])


for _name, (_, _words) in NAMES.items():
    experiment.command(_name, help=_words)(_command(_name, _run_table, _EXPERIMENT))


@experiment.command("compare")
def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN…", readable=False, help="Finished runs; of folds the folder above.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the page.")],
    origin: Annotated[str, typer.Option("--origin", help="What is known of the images, for the page.")] = "",
    verbose: Verbose = False,
) -> None:
    """Put finished runs side by side on the same test cases: figures, paired differences, DeLong's test."""

    def command() -> "ExitCode":
        need_torch()
        from cspine.training import compare_runs

        return _told([f"page {compare_runs(runs, out, _typed(), origin)}"])

    run_command(command, verbose=verbose)


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", readable=False, help="Folder of a finished run.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The bundle; must not exist.")],
    verbose: Verbose = False,
) -> None:
    """Write a finished run as a bundle: ONNX graph, manifest, card, and how far ONNX is from torch."""

    def command() -> "ExitCode":
        need_torch()
        from cspine.training import export_run

        bundle = export_run(run, out)
        parities = bundle.manifest.parity.items()
        lines = [f"graph {n}: largest difference {p.max_abs_diff:.1e}, limit {p.tolerance:.0e}" for n, p in parities]
        return _told([*lines, f"bundle {bundle.short_id} in {bundle.folder}"])

    run_command(command, verbose=verbose)


def need_torch() -> None:
    """Raise where the packages of a training are absent."""
    from cspine.domain import ConfigError

    if not all(find_spec(name) for name in ("torch", "timm", "pandas", "skimage")):
        raise ConfigError(
            "training needs packages that are not installed; install them with: pip install 'cspine[train,data]'"
        )


def _system(name: str) -> "System":
    need_torch()
    from cspine.training import system_named

    return system_named(name)


def _order(system: "System", given: dict[str, Any], bar: "Bar", *, keep: bool = True) -> "Order":
    """Return what was asked for, after a look at the folder of the run; the bar is taken away while a line is said."""
    from cspine.domain import ConfigError
    from cspine.training import Hardware, Order

    out: Path = given["out"]
    if not given["resume"] and out.is_dir() and any(out.iterdir()):
        raise ConfigError(f"{out}: is not empty; add --resume to go on with the run in it, or name another folder")
    if given["cache"] is not None and not system.keeps_slices:
        raise ConfigError(f"{system.name} reads images from the folder each time; leave --cache out")
    if given.get("split") is not None and not system.keeps_slices:
        raise ConfigError(f"{system.name} is divided by the folders of its images; leave --split out")
    hardware = Hardware(given["device"], given["precision"], given["workers"], given["threads"], watch=bar)

    def say(line: str) -> None:
        with bar.paused():
            _say(line)

    cache = (given["cache"] or out / "stacks") if keep else None
    division = (given.get("split"), given.get("allow_leaks", False))
    return Order(given["data"], out, hardware, say, given.get("folds", 0), cache, *division)


def _typed() -> str:
    return shlex.join(["cspine", *sys.argv[1:]])


def _told(lines: list[str]) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode

    for line in lines:
        _say(line)
    return ExitCode.DONE


def _say(line: str) -> None:
    if _speaks():
        typer.echo(printable(line))


def _speaks() -> bool:
    """Return whether this process prints: of several below ``torchrun`` the first one."""
    return os.environ.get("RANK", "0") == "0"
