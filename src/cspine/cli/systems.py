"""`cspine train` and `cspine experiment` of the systems that read a set in the layout of RSNA 2022.

All take the same options, so their commands are made from one table.
"""

import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cspine.cli.guard import printable, run_command
from cspine.cli.options import Verbose
from cspine.cli.recipes import (
    Arithmetic,
    Device,
    Resume,
    Run,
    Settings,
    Threads,
    Weights,
    Workers,
    check_folder,
    hardware_of,
    need_torch,
)

if TYPE_CHECKING:
    from cspine.cli.exit_codes import ExitCode
    from cspine.training import Order

Root = Annotated[
    Path,
    typer.Option("--data", metavar="ROOT", readable=False, help="Set in the layout of RSNA 2022: train.csv and so on."),
]
Origin = Annotated[str, typer.Option("--origin", help="What is known of the studies, for the page.")]
Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache", metavar="DIR", help="Where slices are kept between runs; default: stacks in the run's folder."
    ),
]

# Name → what one run does, and what the table is.
NAMES: Mapping[str, tuple[str, str]] = {
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
}


def add_trainings(app: typer.Typer) -> None:
    """Add ``train NAME`` of every system."""
    for name, (words, _) in NAMES.items():
        app.command(name, help=words)(_training(name))


def add_experiments(app: typer.Typer) -> None:
    """Add ``experiment NAME`` of every system."""
    for name, (_, words) in NAMES.items():
        app.command(name, help=words)(_experiment(name))


def _training(name: str) -> Callable[..., None]:
    def command(
        *,
        data: Root,
        out: Run,
        settings: Settings = None,
        weights: Weights = None,
        folds: Annotated[int, typer.Option("--folds", min=0, help="One network per fold; 0 takes one split.")] = 0,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what a run would cost, and stop.")] = False,
        resume: Resume = False,
        cache: Cache = None,
        device: Device = "auto",
        precision: Arithmetic = "f32",
        workers: Workers = 0,
        threads: Threads = 2,
        verbose: Verbose = False,
    ) -> None:
        def run() -> "ExitCode":
            hardware = hardware_of(device, precision, workers, threads)
            if not dry_run:
                check_folder(out, resume)
            from cspine.training import SYSTEMS, Order, with_settings, with_weights

            recipe = with_settings(with_weights(SYSTEMS[name].recipe(), weights), settings or [])
            order = Order(data, out, hardware, _say, folds, cache)
            system = SYSTEMS[name]
            return _told(system.dry_run(recipe, order) if dry_run else system.train(recipe, order))

        run_command(run, verbose=verbose)

    return command


def _experiment(name: str) -> Callable[..., None]:
    def command(
        *,
        data: Root,
        out: Run,
        settings: Settings = None,
        weights: Weights = None,
        origin: Origin = "",
        resume: Resume = False,
        cache: Cache = None,
        device: Device = "auto",
        precision: Arithmetic = "f32",
        workers: Workers = 0,
        threads: Threads = 2,
        verbose: Verbose = False,
    ) -> None:
        def run() -> "ExitCode":
            hardware = hardware_of(device, precision, workers, threads)
            check_folder(out, resume)
            from cspine.training import SYSTEMS, Order, with_settings, with_weights

            table = with_settings(with_weights(SYSTEMS[name].table(), weights), settings or [])
            return _written(name, table, Order(data, out, hardware, _say, cache=cache), origin)

        run_command(run, verbose=verbose)

    return command


def _written(name: str, table: Any, order: "Order", origin: str) -> "ExitCode":
    from cspine.training import SYSTEMS

    words = shlex.join(["cspine", *sys.argv[1:]])
    return _told([f"page {SYSTEMS[name].experiment(table, order, words, origin)}"])


def _told(lines: list[str]) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode

    need_torch()
    for line in lines:
        _say(line)
    return ExitCode.DONE


def _say(line: str) -> None:
    typer.echo(printable(line))
