"""Train every published system for some epochs on the same phantoms, and see whether it waits for its samples.

    python -m benchmarks.bench_training [--studies 9] [--size 128] [--workers 2] [--threads 1] [--epochs 2]

Phantom studies are made once in memory. Each system trains its smallest useful network on them with the augmentation of
its recipe; of the epochs the last one is told: samples per second, and the share of its time in which the training
waited for samples. The share must stay small, or reading and augmenting is the limit; --workers helps then. Weights
begin at random: what is learned does not matter here.
"""

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cspine.datasets import LabeledStudy, PhantomPlan, Size, from_mask
from cspine.phantom import make_case
from cspine.training.learning import EpochRow, Hardware
from cspine.training.recipes.classifier_run import ClassifierRun
from cspine.training.recipes.efficientnet_c1 import EfficientNetC1, run_on_stacks
from cspine.training.recipes.semi_supervised import SemiSupervised, Setting, run_semi_supervised
from cspine.training.recipes.slice_transfer import SliceTransfer, list_images, run_slice_transfer
from cspine.training.recipes.study_multilabel import StudyMultilabel, run_on_parts
from cspine.training.recipes.vertebra_slices import VertebraSlices, run_task
from cspine.training.recipes.winner_2022 import CropPlan, CropSet, Winner2022, crop_set, crop_study, run_winner_2022
from cspine.training.stacks import StackPlan, StackSet, held_out
from cspine.training.stacks.phantoms import case_stack

LIMIT = 0.1
SHARES = (0.25, 0.25)


def plan_of(studies: int) -> PhantomPlan:
    """Return the phantoms."""
    return PhantomPlan(studies, 41, size=Size.SMALL, finest_mm=4.0)


def labeled(stacks: StackSet) -> StackSet:
    """Return the studies with answers dealt out in turn: so few phantoms need not hold both in every part."""
    dealt = []
    for number, stack in enumerate(stacks.stacks):
        targets = np.zeros_like(stack.targets)
        targets[:2] = number % 2
        shown = np.where(stack.visible[:, 0] == 1, float(number % 2), 0.0).astype(np.float32)
        levels = np.zeros_like(stack.levels)
        levels[:, 0] = shown
        boxes = np.array([[0, 4, 4, 20, 20, 0]], np.float32) if number % 2 else stack.boxes[:0]
        dealt.append(replace(stack, targets=targets, levels=levels, fractured=shown, boxes=boxes))
    return replace(stacks, stacks=tuple(dealt))


def phantoms_of(plan: PhantomPlan, slices: StackPlan, crops: CropPlan) -> tuple[StackSet, CropSet]:
    """Return the slices and the vertebrae of the same phantoms."""
    stacks, made = [], {}
    for number in range(plan.studies):
        case, name = make_case(plan.spec(number), 1), plan.name(number)
        stacks.append(case_stack(name, case, slices))
        made[name] = crop_study(LabeledStudy(name, case.volume, (), case.labels), from_mask, crops)
    dealt = labeled(StackSet(tuple(stacks)))
    return dealt, crop_set(dealt, made, lambda line: None)


def write_images(stacks: StackSet, folder: Path) -> None:
    """Write the slices as an image folder, a class each."""
    for number, stack in enumerate(stacks.stacks):
        place = folder / "train" / ("fracture" if stack.targets[0] else "normal")
        place.mkdir(parents=True, exist_ok=True)
        for k, plane in enumerate(stack.pixels):
            Image.fromarray(np.asarray(plane)).save(place / f"p{number:02d}_{k:03d}.png")


def histories(
    stacks: StackSet, crops: CropSet, out: Path, hardware: Hardware, settings: Mapping[str, Any]
) -> Iterator[tuple[str, str, int, EpochRow]]:
    """Yield system, network, samples of an epoch, and the last epoch of each."""
    size, epochs = settings["size"], settings["epochs"]
    parts = held_out(stacks, SHARES)

    def quiet(line: str) -> None:
        return None

    def short(fit: Any) -> Any:
        return replace(fit, epochs=epochs, patience=0)

    images = out / "images"
    write_images(stacks, images)
    one = SliceTransfer(backbone="mobilenet-v2", weights="none", image_size=size, patient_pattern=r"(p\d+)_", thaw=0.0)
    one = replace(one, frozen=short(one.frozen), valid_share=0.25, test_share=0.25)
    run = run_slice_transfer(one, list_images(images, one.patient_pattern), out / "a", hardware, quiet)
    yield "slice-transfer", one.backbone, run.about["counts"]["train"][0], run.history[-1][1]

    c1 = EfficientNetC1(weights="none", image_size=size, preset="usable", group="all")
    c1 = replace(c1, fit=short(c1.fit), valid_share=0.25, test_share=0.25)
    done = run_on_stacks(c1, stacks, out / "b", hardware, quiet)
    yield "efficientnet-c1", c1.variant, done.about["counts"]["train"][0], done.history[-1]

    levels = VertebraSlices(backbone="efficientnet-b0", weights="none", image_size=size)
    levels = replace(levels, fit=short(levels.fit), valid_share=0.25, test_share=0.25)
    told = run_task(levels, stacks, out / "c", hardware, quiet)
    assert isinstance(told, ClassifierRun)  # the network, neither the forest nor the boxes
    yield "vertebra-slices", levels.backbone, told.about["counts"]["train"][0], told.history[-1]

    study = StudyMultilabel(image_size=size, slices=16)
    study = replace(study, fit=short(study.fit))
    answered = run_on_parts(study, stacks, parts, out / "d", hardware=hardware, say=quiet)
    yield "study-multilabel", study.network, answered.about["counts"]["train"][0], answered.history[-1]

    semi = SemiSupervised(backbone="efficientnet-b0", weights="none", stacks=StackPlan(size=size))
    semi = replace(semi, visibility=replace(semi.visibility, epochs=1), fit=short(semi.fit))
    both = run_semi_supervised(semi, Setting(stacks, parts, out / "e", hardware, quiet), out / "e" / "run")
    yield "semi-supervised", semi.backbone, 2 * len(parts.train), both.history[-1]

    first = Winner2022(backbone="efficientnet-b0", weights="none", vertebrae="mask", crops=settings["crops"])
    first = replace(first, vertebra=short(first.vertebra), study=short(first.study))
    won = run_winner_2022(first, crops, parts, out / "f", hardware=hardware, say=quiet)
    yield "winner-2022", first.backbone, won.about["counts"]["train"][1], won.history["vertebra"][-1]


def main(arguments: list[str] | None = None) -> None:
    """Print one line per system."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in {"studies": 9, "size": 128, "workers": 2, "threads": 1, "epochs": 2}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args(arguments)
    plan, crops = plan_of(options.studies), CropPlan(size=options.size, pixel_mm=100 / options.size)
    stacks, vertebrae = phantoms_of(plan, StackPlan(size=options.size, step_mm=4.0), crops)
    hardware = Hardware(device="cpu", workers=options.workers, threads=options.threads)
    print(f"{options.studies} phantoms, {options.size} pixels, {options.workers} workers, {options.threads} threads")
    print(f"{'system':<18}{'network':<18}{'samples':>8}{'samples/s':>11}{'waiting':>9}")
    settings = {"size": options.size, "epochs": options.epochs, "crops": crops}
    with tempfile.TemporaryDirectory() as folder:
        for name, network, count, row in histories(stacks, vertebrae, Path(folder), hardware, settings):
            waiting = row.waited_s / row.seconds
            mark = "" if waiting <= LIMIT else f"   above {LIMIT:.0%}: loading is the limit"
            print(f"{name:<18}{network:<18}{count:>8}{count / row.seconds:>11.1f}{waiting:>9.0%}{mark}", flush=True)


if __name__ == "__main__":
    main()
