"""The five published systems and `winner-2022` on the same phantom studies and folds, and what one page compares.

    python -m tools.compare_systems SET OUT [--start FILE] [--only STEP …] [--epochs N]

SET is a folder of `cspine phantom make --layout rsna --masks 1`. Below OUT lie the slices that the systems share, a run
for each system, the comparison pages, and `commands.csv`: each command, its exit code, seconds and processor seconds.
What is finished is not run again. All systems have the same small network, which begins at random, and about as many
images to learn from, so that what differs is how they look and what they are told; but `slice-transfer`, which is about
transfer, has a MobileNet that begins with FILE, and once more at random.
"""

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.commands import timed

FOLDS = 4
NETWORK, STARTED = "tiny", "mobilenet-v2"


@dataclass(frozen=True)
class Step:
    """One command.

    Attributes
    ----------
    makes
        What stands there when it is done, relative to OUT.
    words
        After ``cspine``.
    """

    name: str
    makes: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Scale:
    """How much each run learns from.

    Attributes
    ----------
    pixels
        Of slices and of crops of vertebrae.
    step_mm
        Least distance of slices.
    epochs, crop_epochs
        Of every system's main stage; crops have half the pixels of slices.
    """

    pixels: tuple[int, int] = (128, 96)
    step_mm: float = 4.0
    epochs: int = 8
    crop_epochs: int = 12


def steps(data: Path, out: Path, start: str, scale: Scale) -> Iterator[Step]:
    """Yield the commands in the order in which they run."""
    images, crops = scale.pixels
    epochs, step_mm = scale.epochs, f"{scale.step_mm:g}"
    every = ("--threads", "1", "--workers", "1")
    studies = ("--data", str(data), "--cache", str(out / "slices"), *every)
    folded = ("--folds", str(FOLDS))
    own = ("--weights", "none")
    rates = {"learning_rate": "0.002", "batch": "32"}

    def fit(name: str, **changes: object) -> tuple[str, ...]:
        values = {"epochs": epochs, **rates, **changes}
        return _set(**{f"{name}.{key}": value for key, value in values.items()})

    def train(recipe: str, name: str, *words: str) -> Step:
        makes = f"runs/{name}" + (f"/fold-{FOLDS}" if "--folds" in words else "") + "/result.json"
        return Step(name, makes, ("train", recipe, "--out", str(out / "runs" / name), *words))

    slices = _set(image_size=images, stored_size=images, step_mm=step_mm)
    yield train(
        "winner-2022",
        "winner-2022",
        *studies,
        *folded,
        *own,
        *_set(backbone=NETWORK, vertebrae="mask"),
        *_set(**{"crops.size": crops, "crops.pixel_mm": 0.8, "crops.slices": 9}),
        *fit("vertebra", batch=8, epochs=scale.crop_epochs),
        *fit("study", batch=16, learning_rate=0.001, epochs=20),
    )
    yield train(
        "study-multilabel",
        "study-multilabel",
        *studies,
        *folded,
        *own,
        *_set(network=NETWORK, image_size=images, stored_size=images, slices=32),
        *fit("fit"),
    )
    yield train(
        "vertebra-slices",
        "vertebra-slices",
        *studies,
        *folded,
        *own,
        *_set(task="fracture", backbone=NETWORK),
        *slices,
        *fit("fit"),
    )
    for task in ("forest", "levels"):
        yield train(
            "vertebra-slices",
            task,
            *studies,
            *folded,
            *own,
            *_set(task=task, backbone=NETWORK),
            *slices,
            *fit("fit", epochs=epochs // 2),
        )
    semi = (
        *_set(backbone=NETWORK, **{"stacks.size": images, "stacks.step_mm": step_mm}),
        *fit("visibility", epochs=1),
        *fit("fit"),
    )
    # With all labels there is nothing left to be half supervised; few labels are the last step's question.
    yield train("semi-supervised", "semi-supervised", *studies, *folded, *own, *semi, *_set(method="supervised"))
    c1 = (*_set(variant=NETWORK, group="all", preset="usable"), *slices, *fit("fit"))
    yield train("efficientnet-c1", "efficientnet-c1", *studies, *folded, *own, *c1)
    made = out / "images"
    size = ("--size", str(images), "--every", "4", "--format", "png")
    yield Step("images", "images/labels.csv", ("data", "images", str(data), "--out", str(made), *size))
    transfer = (
        *("--data", str(made), "--precision", "bf16", *every, *folded),
        *_set(backbone=STARTED, image_size=images, thaw=1.0),
        *fit("frozen", epochs=1),
        *fit("finetune", epochs=2, learning_rate=0.0005),
    )
    yield train("slice-transfer", "slice-transfer", *transfer, "--weights", start)
    yield train("slice-transfer", "slice-transfer-random", *transfer, "--weights", "none")
    leaky = (*_set(label="study", valid_share=0.15, test_share=0.25), *c1)
    yield train("efficientnet-c1", "by-study", *studies, *own, *leaky, *_set(by="study"))
    yield train("efficientnet-c1", "by-image", *studies, *own, *leaky, *_set(by="image"))
    whole = (
        "winner-2022",
        "study-multilabel",
        "vertebra-slices",
        "semi-supervised",
        "slice-transfer",
    )
    yield _compare(out, "studies", whole)
    yield _compare(out, "vertebrae", ("winner-2022", "semi-supervised", "study-multilabel"))
    yield _compare(out, "c1", ("winner-2022", "efficientnet-c1", "study-multilabel", "semi-supervised"))
    yield _compare(out, "levels", ("forest", "levels"))
    yield _compare(out, "start", ("slice-transfer", "slice-transfer-random"))
    labels = (
        *_set(folds=FOLDS, methods="supervised,semi-supervised", shares="0.05,0.1,0.25", flips="", planes="axial"),
        *_set(**{"base.backbone": NETWORK, "base.stacks.size": 64, "base.stacks.step_mm": step_mm}),
        *fit("base.visibility", epochs=1),
        *fit("base.fit", epochs=max(1, epochs // 4)),
    )
    table = ("experiment", "semi-supervised", "--out", str(out / "labels"), *studies, *own, *labels)
    yield Step("labels", "labels/index.html", table)


def _set(**values: object) -> tuple[str, ...]:
    return tuple(word for key, value in values.items() for word in ("--set", f"{key}={value}"))


def _compare(out: Path, name: str, runs: Sequence[str]) -> Step:
    folders = (str(out / "runs" / run) for run in runs)
    return Step(
        f"compare-{name}",
        f"compare-{name}/index.html",
        ("experiment", "compare", *folders, "--out", str(out / f"compare-{name}")),
    )


def run(step: Step, out: Path) -> bool:
    """Run one command, unless what it makes is there; return whether it is there afterwards."""
    if (out / step.makes).exists():
        return True
    words = [*step.words, *(["--resume"] if step.words[0] == "train" and _began(step) else [])]
    print(f"\n$ cspine {' '.join(words)}", flush=True)
    with (out / f"{step.name}.log").open("ab") as log:
        done, seconds, spent = timed(words, log)
    print(f"  {done.returncode}, {seconds:.0f} s, {spent:.0f} s of processor time", flush=True)
    with (out / "commands.csv").open("a", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow([step.name, done.returncode, f"{seconds:.0f}", f"{spent:.0f}", " ".join(words)])
    return (out / step.makes).exists()


def _began(step: Step) -> bool:
    return Path(step.words[step.words.index("--out") + 1]).exists()


def main() -> int:
    """Run what is missing; end with 1 when a command fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--start", default="imagenet", help="what networks begin with: imagenet, none, or a file")
    parser.add_argument("--only", nargs="+", default=[], help="names of steps")
    parser.add_argument("--epochs", type=int, default=Scale.epochs)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    scale = Scale(epochs=given.epochs, crop_epochs=given.epochs * 3 // 2)
    chosen = [s for s in steps(given.data, given.out, given.start, scale) if not given.only or s.name in given.only]
    failed = [step.name for step in chosen if not run(step, given.out)]
    if failed:
        print(f"failed: {', '.join(failed)}; what they said is in {given.out}/STEP.log")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
