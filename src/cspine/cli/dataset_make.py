"""`cspine data prepare`, `images` and `augment`: what networks are trained on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cspine.cli.dataset_views import Index, Root, say_errors
from cspine.cli.guard import printable, run_command
from cspine.cli.options import Bundle, Verbose, Workers, default_threads

if TYPE_CHECKING:
    from cspine.cli.exit_codes import ExitCode
    from cspine.datasets import AugmentRange, ImagePlan, PreparePlan, SpaceNeeded, VertebraFinder

Out = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", readable=False, help="Where it goes.")]


def prepare(
    root: Root,
    out: Out,
    *,
    place: Index = None,
    parts: Annotated[str, typer.Option("--parts", help="Some of volumes, crops, slices.")] = "volumes,crops,slices",
    vertebrae: Annotated[
        str, typer.Option("--vertebrae", help="Where they come from: masks, bundle, or both (mask where there is one).")
    ] = "masks",
    bundle: Bundle = None,
    count: Annotated[int, typer.Option("--slices", help="Axial slices of each vertebra.")] = 15,
    size: Annotated[int, typer.Option("--size", metavar="PX", help="Side of a slice.")] = 192,
    pixel: Annotated[float, typer.Option("--pixel", metavar="MM", help="Pixel of a slice.")] = 0.6,
    dry: Annotated[bool, typer.Option("--dry-run", help="Say what it takes and stop.")] = False,
    workers: Workers = None,
    verbose: Verbose = False,
) -> None:
    """Keep pre-processed volumes, vertebra crops and slices in DIR, named by their content.

    The pre-processing is that of the bundle. The space is printed before anything is written; a run that stopped
    goes on.
    """
    asked = (tuple(part.strip() for part in parts.split(",") if part.strip()), vertebrae, bundle)
    stack = (count, size, pixel)
    run_command(lambda: _prepare((root, out, place), asked, stack, dry, workers or default_threads()), verbose=verbose)


def images(
    root: Root,
    out: Out,
    *,
    place: Index = None,
    layout: Annotated[
        str, typer.Option("--layout", help="folders: by part and label; studies: one for each.")
    ] = "folders",
    kind: Annotated[str, typer.Option("--format", help="jpeg or png.")] = "jpeg",
    quality: Annotated[int, typer.Option("--quality", help="Of JPEG, 1 … 100.")] = 92,
    window: Annotated[str, typer.Option("--window", help="bone, soft, brain, lung, or CENTER,WIDTH in HU.")] = "bone",
    enhance: Annotated[
        str, typer.Option("--enhance", help="none, stretch, equalize, clahe (adaptive histogram), gamma.")
    ] = "none",
    filtered: Annotated[str, typer.Option("--filter", help="none, median, gaussian, unsharp, tv, bilateral.")] = "none",
    size: Annotated[
        int | None, typer.Option("--size", metavar="PX", help="Longer side; default: the pixels of the slices.")
    ] = None,
    every: Annotated[int, typer.Option("--every", help="Write every n-th slice.")] = 1,
    split: Annotated[
        Path | None,
        typer.Option(
            "--split", metavar="FILE", readable=False, help="From cspine data split; default: 80 % train, 20 % val."
        ),
    ] = None,
    contrast: Annotated[
        float, typer.Option("--least-contrast", help="Leave out slices of less contrast, 0 … 1; 0.35 is usual.")
    ] = 0.0,
    weak: Annotated[
        bool,
        typer.Option("--weak/--no-weak", help="Whether slices that are positive by their study alone are written."),
    ] = True,
    workers: Workers = None,
    verbose: Verbose = False,
) -> None:
    """Write slices as image files below DIR, with labels.csv and a page that shows what each option does.

    All slices of a study go to the same part (train or val). Labels of slices, and where they come from, are in
    labels.csv.
    """
    look = (window, enhance, filtered)
    rest: dict[str, object] = {
        "quality": quality,
        "size_px": size,
        "every": every,
        "least_contrast": contrast,
        "weak": weak,
    }
    run_command(
        lambda: _images((root, out, place, split), (layout, kind), look, rest, workers or default_threads()),
        verbose=verbose,
    )


def augment(
    root: Annotated[
        Path, typer.Argument(metavar="FOLDER", readable=False, help="Image folder: train/fracture, train/…, val/….")
    ],
    out: Out,
    *,
    rotation: Annotated[float, typer.Option("--rotation", metavar="DEG", help="Largest angle either way.")] = 20.0,
    shift: Annotated[float, typer.Option("--shift", help="Largest move, share of the side.")] = 0.1,
    shear: Annotated[float, typer.Option("--shear", help="Largest shear.")] = 0.2,
    zoom: Annotated[float, typer.Option("--zoom", help="Largest change of size, share.")] = 0.2,
    across: Annotated[float, typer.Option("--flip-horizontal", help="Probability.")] = 0.5,
    over: Annotated[float, typer.Option("--flip-vertical", help="Probability.")] = 0.5,
    fill: Annotated[str, typer.Option("--fill", help="nearest, reflect, wrap or black.")] = "nearest",
    recipe: Annotated[
        str | None,
        typer.Option("--recipe", metavar="NAME", help="The changes of this recipe of cspine train instead."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Other seeds draw other changes.")] = 0,
    verbose: Verbose = False,
) -> None:
    """Write DIR/augmentation.html: what random changes make of some images of each folder."""
    limits: dict[str, object] = {
        "shift": shift,
        "flip_horizontal": across,
        "flip_vertical": over,
        "rotation_deg": rotation,
    }
    rest: dict[str, object] = {"shear": shear, "zoom": zoom, "fill": fill}
    run_command(lambda: _augment(root, out, limits | rest, recipe, seed), verbose=verbose)


def _prepare(
    places: tuple[Path, Path, Path | None],
    asked: tuple[tuple[str, ...], str, Path | None],
    stack: tuple[int, int, float],
    dry: bool,
    workers: int,
) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode
    from cspine.cli.terminal import progress_bar
    from cspine.datasets import open_or_make_index, prepare_set, space_needed, studies_of

    root, out, place = places
    plan, find = _preparation(asked, stack)
    with progress_bar(shown=True) as bar:
        studies = studies_of(open_or_make_index(root, place, workers, bar))

        def announce(space: "SpaceNeeded") -> None:
            with bar.paused():
                typer.echo(space.text)

        if dry:
            announce(space_needed(studies, plan, out, workers, bar))
            return ExitCode.DONE
        done = prepare_set(studies, find, plan, out, workers=workers, report=bar, announce=announce)
    say_errors(done.errors)
    typer.echo(
        printable(f"{done.written} studies prepared, {done.kept} were there, {done.bytes / 1e9:.2f} GB: {done.table}")
    )
    return ExitCode.DONE


def _preparation(
    asked: tuple[tuple[str, ...], str, Path | None], stack: tuple[int, int, float]
) -> "tuple[PreparePlan, VertebraFinder]":
    """Return the plan and what finds the vertebrae."""
    from cspine.datasets import PreparePlan, from_mask, from_mask_or_network, from_network
    from cspine.domain import ConfigError
    from cspine.models import default_bundle_path, load_bundle
    from cspine.pipeline import Analyzer, PipelineSpec, SliceSpec

    parts, source, folder = asked
    finders = {"masks": None, "bundle": from_network, "both": from_mask_or_network}
    if source not in finders:
        raise ConfigError(f"unknown source of vertebrae {source!r}; known are {', '.join(finders)}")
    bundle = load_bundle(folder or default_bundle_path())
    spec = PipelineSpec.from_manifest(bundle.manifest.preprocess)
    make = finders[source]
    named = "mask" if make is None else f"{source}, bundle {bundle.id}"
    plan = PreparePlan(parts, spec, SliceSpec(*stack), named)
    return plan, from_mask if make is None else make(Analyzer(bundle, threads=1))


def _images(
    places: tuple[Path, Path, Path | None, Path | None],
    kinds: tuple[str, str],
    look: tuple[str, str, str],
    rest: dict[str, object],
    workers: int,
) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode
    from cspine.cli.terminal import progress_bar
    from cspine.datasets import ExportSource, export_images, open_or_make_index, studies_of, study_labels_of

    root, out, place, split = places
    plan, parts = _image_plan(kinds, look, rest), None if split is None else _parts(split)
    with progress_bar(shown=True) as bar:
        index = open_or_make_index(root, place, workers, bar)
        source = ExportSource(studies_of(index), study_labels_of(index), parts)
        done = export_images(source, plan, out, workers, bar)
    for (part, positive), group in done.table.groupby(["part", "fracture"]):
        word = "with a fracture" if positive else "without"
        weak = int(group["weak"].sum())
        typer.echo(f"{len(group):8d}  {part}, {word}" + (f" ({weak} by a weak label)" if weak else ""))
    if done.low_contrast or done.left_out_weak:
        typer.echo(f"left out: {done.low_contrast} of low contrast, {done.left_out_weak} with a weak label")
    say_errors(done.errors)
    typer.echo(printable(f"{len(done.table)} images below {out}; preview: {out / 'preview.html'}"))
    return ExitCode.DONE


def _parts(path: Path) -> dict[str, str]:
    """Return the part of each study of a split."""
    from cspine.datasets import read_split
    from cspine.domain import ConfigError

    split = read_split(path)
    if split.by != "study":
        raise ConfigError(f"{path}: a split by {split.by}, which leaks; image folders are split by study alone")
    return {uid: part for part, uids in split.parts.items() for uid in uids}


def _image_plan(kinds: tuple[str, str], look: tuple[str, str, str], rest: dict[str, object]) -> "ImagePlan":
    from cspine.datasets import ExportLayout, ImagePlan, Look, window_named
    from cspine.domain import ConfigError

    layout, kind = kinds
    if layout not in list(ExportLayout):
        raise ConfigError(f"unknown layout {layout!r}; known are {', '.join(ExportLayout)}")
    shown = Look(window_named(look[0]), look[1], look[2])
    return ImagePlan(shown, ExportLayout(layout), kind, **rest)  # type: ignore[arg-type]  # kinds are those of the options


def _augment(root: Path, out: Path, limits: dict[str, object], recipe: str | None, seed: int) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode
    from cspine.datasets import AugmentRange, write_augmentation_preview

    chosen = AugmentRange(**limits)  # type: ignore[arg-type]  # names and kinds are those of the options
    if recipe is not None:
        chosen = _changes_of(recipe, asked=chosen)
    page = write_augmentation_preview(root, out, chosen, seed=seed)
    typer.echo(printable(str(page)))
    return ExitCode.DONE


def _changes_of(recipe: str, *, asked: "AugmentRange") -> "AugmentRange":
    """Return how a recipe changes the slices that it trains on."""
    from cspine.cli.recipes import need_torch
    from cspine.datasets import AugmentRange
    from cspine.domain import ConfigError

    if asked != AugmentRange():
        raise ConfigError(f"--recipe {recipe} has changes of its own; leave the options of single changes out")
    need_torch()
    from cspine.training import system_named

    found = getattr(system_named(recipe).recipe(), "augment", None)
    if not isinstance(found, AugmentRange):
        raise ConfigError(f"--recipe {recipe}: it trains on slices as they are")
    return found
