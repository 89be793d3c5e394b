"""Options that several commands share."""

import os
from pathlib import Path
from typing import Annotated

import typer

# Paths have readable=False: the code that reads them answers what may not be read, with its own exit code.
Bundle = Annotated[
    Path | None,
    typer.Option("--bundle", metavar="DIR", readable=False, help="Model bundle; default: the one inside the package."),
]
Engine = Annotated[str, typer.Option("--engine", help="What runs the networks: openvino or onnxruntime.")]
Threads = Annotated[
    int | None, typer.Option("--threads", min=1, max=1024, help="Processor threads; default: all that are allowed.")
]
Precision = Annotated[
    str | None,
    typer.Option("--precision", help="f32, where bytes must repeat, or bf16, for speed; default: the bundle's."),
]
Prevalence = Annotated[
    float,
    typer.Option(
        "--prevalence",
        help="Share of fractured studies among your patients, 0 … 1; moves the probabilities, not the decisions.",
    ),
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, max=1024, help="Processes; default: one per processor.")
]
AccessFile = Annotated[
    Path | None,
    typer.Option(
        "--access",
        metavar="FILE",
        readable=False,
        help="Credentials and certificates for an archive, as TOML, mode 600.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document for machines, and nothing else.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print timings, and the traceback of an internal error.")
]


def default_threads() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux; a container often allows fewer than the machine has
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


SecondLook = Annotated[
    str | None,
    typer.Option("--second-look", metavar="LEVELS", help="Judge these (C1,C2,C7) from three samplings of the scan."),
]


def level_names(text: str) -> tuple[str, ...]:
    """Return names of cervical vertebrae that are written with commas.

    Raises
    ------
    ConfigError
        One is no such name.
    """
    from cspine.domain import CERVICAL, ConfigError

    names = tuple(part.strip().upper() for part in text.split(",") if part.strip())
    known = [v.name for v in CERVICAL]
    for name in names:
        if name not in known:
            raise ConfigError(f"--second-look {text}: {name!r} is none of {', '.join(known)}")
    return names
