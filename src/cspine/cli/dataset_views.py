"""`cspine data explore`, `video` and `audit`: look at a data set before anything is trained on it."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cspine.cli.guard import printable, run_command
from cspine.cli.options import Verbose, Workers, default_threads

if TYPE_CHECKING:
    from cspine.cli.exit_codes import ExitCode

Root = Annotated[Path, typer.Argument(metavar="ROOT", readable=False, help="Data set in the layout of RSNA 2022.")]
Index = Annotated[
    Path | None,
    typer.Option(
        "--index", metavar="DIR", readable=False, help="Its index; default: ROOT/cspine-index, made if absent."
    ),
]
# More errors than this are only counted; the table on the page has all of them.
ERRORS_SHOWN = 10


def explore(
    root: Root,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", readable=False, help="Where page and figures go.")],
    *,
    place: Index = None,
    slices: Annotated[
        int, typer.Option("--contrast-slices", min=0, max=64, help="Slices of each study whose contrast is measured.")
    ] = 8,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Other seeds show other slices.")] = 0,
    preset: Annotated[
        str, typer.Option("--preset", help="Rules of cspine data filter whose funnel is shown.")
    ] = "efficientnet-c1",
    groups: Annotated[
        str,
        typer.Option("--slice-groups", metavar="N,…", help="Most slices of each group whose fractures are compared."),
    ] = "350",
    workers: Workers = None,
    verbose: Verbose = False,
) -> None:
    """Write DIR/explore.html and below DIR/figures every figure with its numbers as CSV.

    What is measured of a study is kept in DIR/measures: another run measures only what is new or changed.
    """
    chosen = (slices, seed, preset, groups)
    run_command(lambda: _explore(root, out, place, chosen, workers or default_threads()), verbose=verbose)


def video(
    study: Annotated[Path, typer.Argument(metavar="STUDY", readable=False, help="Folder of one study's DICOM files.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", readable=False, help="Where the films go.")],
    *,
    mask: Annotated[
        Path | None,
        typer.Option(
            "--mask", metavar="FILE", readable=False, help="NIfTI; default: the data set's mask of the study."
        ),
    ] = None,
    planes: Annotated[
        str, typer.Option("--planes", help="Some of axial, coronal, sagittal.")
    ] = "axial,coronal,sagittal",
    formats: Annotated[str, typer.Option("--format", "-f", help="Some of gif, mp4, webm.")] = "gif,mp4",
    window: Annotated[str, typer.Option("--window", help="bone, soft, brain, lung, or CENTER,WIDTH in HU.")] = "bone",
    speed: Annotated[float, typer.Option("--fps", help="Frames per second.")] = 20.0,
    every: Annotated[int, typer.Option("--every", min=1, help="Show every n-th slice.")] = 1,
    size: Annotated[
        int, typer.Option("--size", metavar="PX", help="Longer side of videos; a GIF has at most 320.")
    ] = 512,
    verbose: Verbose = False,
) -> None:
    """Write films of a study's slices, plain and with mask and boxes where it has them.

    MP4 and WebM need: pip install 'cspine[video]'.
    """
    asked = (_words(planes), _words(formats))
    run_command(lambda: _video((study, mask, out), asked, window, (speed, every, size)), verbose=verbose)


def audit(
    root: Root,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", readable=False, help="Where page and table go.")],
    *,
    place: Index = None,
    workers: Workers = None,
    verbose: Verbose = False,
) -> None:
    """Write DIR/audit.html and DIR/audit.csv: labels, boxes and masks that contradict each other, worst first."""
    run_command(lambda: _audit(root, out, place, workers or default_threads()), verbose=verbose)


def say_errors(errors: dict[str, str]) -> None:
    """Print what went wrong with single studies."""
    for uid, text in list(errors.items())[:ERRORS_SHOWN]:
        typer.echo(printable(f"! {uid}: {text}"))
    if len(errors) > ERRORS_SHOWN:
        typer.echo(f"! … and {len(errors) - ERRORS_SHOWN} more")


def _explore(root: Path, out: Path, place: Path | None, chosen: tuple[int, int, str, str], workers: int) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode
    from cspine.cli.terminal import progress_bar
    from cspine.datasets import (
        ExplorePlan,
        MeasurePlan,
        PanelPlan,
        Subject,
        explore_set,
        labels_of,
        open_or_make_index,
        problems_of,
        rules_of,
        select,
        studies_of,
    )

    slices, seed, preset, groups = chosen
    rules = rules_of(preset)
    plan = ExplorePlan(MeasurePlan(slices), PanelPlan(seed, slice_limits=_numbers(groups, "--slice-groups")))
    with progress_bar(shown=True) as bar:
        index = open_or_make_index(root, place, workers, bar)
        subject = Subject(
            index.root.name, labels_of(index), studies_of(index), select(index, rules).funnel, problems_of(index)
        )
        done = explore_set(subject, out, plan, workers, bar)
    say_errors(done.errors)
    typer.echo(printable(f"{done.studies} studies, {done.figures} figures: {done.page}"))
    return ExitCode.DONE


def _video(
    places: tuple[Path, Path | None, Path],
    asked: tuple[tuple[str, ...], tuple[str, ...]],
    window: str,
    numbers: tuple[float, int, int],
) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode
    from cspine.cli.terminal import progress_bar
    from cspine.datasets import VideoPlan, read_study, study_at, window_named, write_videos

    folder, mask, out = places
    speed, every, size = numbers
    plan = VideoPlan(
        planes=asked[0],
        formats=asked[1],
        frames_per_second=speed,
        every=every,
        size_px=size,
        gif_size_px=min(size, 320),
        window=window_named(window),
    )
    with progress_bar(shown=True) as bar:
        bar("read the study", 0.0)
        study = read_study(study_at(folder, mask))
        written = write_videos(study, out, plan, bar)
    for note in study.notes:
        typer.echo(printable(f"! {note}"))
    for path in written:
        typer.echo(printable(str(path)))
    return ExitCode.DONE


def _audit(root: Path, out: Path, place: Path | None, workers: int) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode
    from cspine.cli.terminal import progress_bar
    from cspine.datasets import audit_set, open_or_make_index, studies_of, study_labels_of

    with progress_bar(shown=True) as bar:
        index = open_or_make_index(root, place, workers, bar)
        done = audit_set(studies_of(index), study_labels_of(index), out, workers, bar)
    for kind, count in Counter(suspicion.kind for suspicion in done.suspicions).most_common():
        typer.echo(f"{count:6d}  {kind.value}")
    say_errors(done.errors)
    touched = len({suspicion.uid for suspicion in done.suspicions})
    typer.echo(printable(f"{len(done.suspicions)} suspicions in {touched} of {done.studies} studies: {done.page}"))
    return ExitCode.DONE


def _numbers(text: str, option: str) -> tuple[int, ...]:
    from cspine.domain import ConfigError

    words = _words(text)
    if not all(word.isdecimal() and len(word) < 7 for word in words):
        raise ConfigError(f"{option} {text!r}: must be whole numbers with commas between, such as 350 or 40,60")
    return tuple(int(word) for word in words)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip().lower() for word in text.split(",") if word.strip())
