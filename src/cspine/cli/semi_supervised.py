"""`cspine train semi-supervised`: fractures of slices and patients from few labels and many images."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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


def semi_supervised(
    *,
    data: Annotated[
        Path, typer.Option("--data", metavar="ROOT", readable=False, help="Set in the layout of RSNA 2022.")
    ],
    out: Run,
    settings: Settings = None,
    weights: Weights = None,
    folds: Annotated[int, typer.Option("--folds", min=0, help="One network per fold; 0 holds out one test part.")] = 0,
    resume: Resume = False,
    device: Device = "auto",
    precision: Arithmetic = "f32",
    workers: Workers = 0,
    threads: Threads = 2,
    verbose: Verbose = False,
) -> None:
    """Train one network of Abdikhan 2023: supervised, semi-supervised, or on features learned without labels."""

    def command() -> "ExitCode":
        from cspine.cli.exit_codes import ExitCode

        need_torch()
        from cspine.training import semi_supervised as recipe_of
        from cspine.training import train_semi_supervised, with_settings

        recipe = with_settings(recipe_of(), settings or [])
        recipe = recipe if weights is None else replace(recipe, weights=weights)
        hardware = hardware_of(device, precision, workers, threads)
        check_folder(out, resume)
        train_semi_supervised(recipe, data, out, hardware, lambda line: typer.echo(printable(line)), folds=folds)
        return ExitCode.DONE

    run_command(command, verbose=verbose)
