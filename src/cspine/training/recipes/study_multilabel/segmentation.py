"""The segmentation part of `study-multilabel`: train on some segmented studies, measure and film on the others."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from cspine.datasets import LabeledStudy, VideoPlan, write_videos
from cspine.domain import ConfigError, LabelMap, Vertebra
from cspine.evaluation import Estimate, bootstrap_ci
from cspine.report import BONE
from cspine.training.learning import Hardware
from cspine.training.recipes.experiment_page import Cell, PagePicture, PageSection, PageTable
from cspine.training.recipes.run_folder import Say
from cspine.training.recipes.slice_pictures import ShownSlice, draw_slices
from cspine.training.recipes.study_multilabel.config import UnetPlan
from cspine.training.recipes.study_multilabel.unet import (
    dice_per_level,
    make_neck,
    segment,
    train_unet,
    write_dice,
)
from cspine.training.stacks import CERVICAL_FRACTURES, LabelSet, StackSet, reader_of, study_groups

# Every fifth patient with a mask is held out.
TEST_EVERY = 5
FEWEST = 2
SHOWN = 3
Read = Callable[[], LabeledStudy]


@dataclass(frozen=True, eq=False)
class Segmented:
    """Segmented studies, read when they are needed: UID → reader; masks have k + 1 for level k of the label set."""

    train: Mapping[str, Read]
    test: Mapping[str, Read]
    labels: LabelSet = CERVICAL_FRACTURES


@dataclass(frozen=True, eq=False)
class SegmentationResult:
    """What came of it.

    Attributes
    ----------
    dice
        Test study → level → Dice on the study's own voxels.
    film
        Of the first test study, the mask found laid over it.
    pictures
        Truth beside what was found.
    """

    plan: UnetPlan
    trained_on: int
    levels: tuple[str, ...]
    dice: dict[str, dict[str, float]]
    film: Path
    pictures: PagePicture

    def level(self, name: str) -> Estimate:
        """Return the mean Dice of a level, interval over studies."""
        values = [[row[name]] for row in self.dice.values() if name in row]
        return bootstrap_ci(values, np.random.default_rng(0))

    @property
    def overall(self) -> Estimate:
        """Mean over all levels of all studies, interval over studies."""
        return bootstrap_ci([list(row.values()) for row in self.dice.values()], np.random.default_rng(0))


def segmented_studies(stacks: StackSet, data: Path) -> Segmented:
    """Return the segmented studies of a set, every fifth patient held out.

    Raises
    ------
    ConfigError
        Fewer than two patients are segmented.
    """
    groups = dict(zip((stack.uid for stack in stacks.stacks), study_groups(stacks).tolist(), strict=True))
    masked = [stack.uid for stack in stacks.stacks if stack.mask is not None]
    return divided(masked, groups, reader_of(data, stacks.label_set), stacks.label_set)


def divided(
    masked: Sequence[str],
    groups: Mapping[str, int],
    read: Callable[[str], LabeledStudy],
    labels: LabelSet = CERVICAL_FRACTURES,
) -> Segmented:
    """Return studies divided by their groups; raises as `segmented_studies`."""
    order = sorted({groups[uid] for uid in masked})
    if len(order) < FEWEST:
        raise ConfigError(f"{len(order)} segmented patients: a segmentation needs at least {FEWEST}; set segment=no")
    held = set(order[:: max(FEWEST, min(TEST_EVERY, len(order)))])
    sides: tuple[dict[str, Read], dict[str, Read]] = {}, {}
    for uid in masked:
        sides[groups[uid] in held][uid] = _reader(read, uid)
    return Segmented(*sides, labels)


def run_segmentation(plan: UnetPlan, studies: Segmented, run: Path, hardware: Hardware, say: Say) -> SegmentationResult:
    """Train the U-Net, measure it on the studies held out, and film the first of them.

    Raises
    ------
    ConfigError
        The folder holds another run.
    InputError
        A study cannot be read.
    """
    say(f"U-Net: {len(studies.train)} studies to train on, {len(studies.test)} to test on")
    necks = []
    for uid, read in studies.train.items():
        study = read()
        assert study.labels is not None
        necks.append(make_neck(uid, study.volume, study.labels, plan.spacing_mm))
    levels = studies.labels.levels
    network = train_unet(plan, necks, run, hardware, say, levels=len(levels))
    dice: dict[str, dict[str, float]] = {}
    stills: list[ShownSlice] = []
    film: Path | None = None
    for uid, read in studies.test.items():
        study = read()
        found = segment(network, plan, study.volume)
        assert study.labels is not None
        dice[uid] = dice_per_level(found.labels, study.labels.labels, levels)
        if len(stills) < 2 * SHOWN:
            stills += _stills(study, found, dice[uid])
        film = film or _filmed(study, _as_in_masks(found, studies.labels), run)
    assert film is not None
    write_dice(run, dice)
    still = draw_slices(stills, "Truth beside what the U-Net found, sagittal", columns=2)
    return SegmentationResult(plan, len(studies.train), levels, dice, film, still)


def segmentation_section(result: SegmentationResult) -> PageSection:
    """Return the part of the page: Dice per level, film, stills."""
    names = result.levels
    rows: list[tuple[Cell, ...]] = [(uid, *(row.get(name) for name in names)) for uid, row in result.dice.items()]
    rows.append((f"mean of {len(result.dice)}", *(result.level(name) for name in names)))
    table = PageTable(
        "unet_dice",
        "Dice per level on studies that were not trained on",
        ("study", *names),
        tuple(rows),
        f"All levels together {result.overall}. On the voxels of the study itself; levels that a study does not show "
        "are left "
        "out. Intervals (95 %) redraw studies. The report's own U-Net came to accuracy 0 after its one epoch.",
    )
    plan = result.plan
    text = (
        f"MONAI's UNet in three dimensions at {plan.spacing_mm:g} mm, Dice + cross entropy, {plan.fit.steps} steps of "
        f"{plan.fit.batch} patches of {' × '.join(map(str, plan.patch))} voxels, {result.trained_on} studies. Single "
        "slices of C3 to C6 "
        "look alike; a network that sees the whole neck can count.",
    )
    return PageSection("Segmentation", text, (table,), (_film_picture(result.film), result.pictures))


def _reader(read: Callable[[str], LabeledStudy], uid: str) -> Read:
    return lambda: read(uid)


def _filmed(study: LabeledStudy, found: LabelMap, run: Path) -> Path:
    """Write a sagittal film of the found mask over the study; GIF where no video encoder is installed."""
    kind = "mp4" if find_spec("imageio_ffmpeg") else "gif"
    plan = VideoPlan(
        planes=("sagittal",), formats=(kind,), plain=False, frames_per_second=8, every=_every(study), size_px=320
    )
    shown = replace(study, labels=found, boxes=())
    return write_videos(shown, run / "film", plan, lambda name, share: None)[0]


def _as_in_masks(found: LabelMap, labels: LabelSet) -> LabelMap:
    """Return a map with the values that masks of the set have, where these are names of vertebrae."""
    if not set(labels.values) <= {int(v) for v in Vertebra}:
        return found
    return replace(found, labels=np.array((0, *labels.values), dtype=np.uint8)[found.labels])


def _every(study: LabeledStudy) -> int:
    """Return the step that makes about sixty frames."""
    return max(1, study.volume.grid.shape[2] // 60)


def _film_picture(film: Path) -> PagePicture:
    media = {".mp4": "video/mp4", ".gif": "image/gif"}[film.suffix]
    return PagePicture(
        film.read_bytes(), media, "Film of the found vertebrae", "What the U-Net found, from right to left."
    )


def _stills(study: LabeledStudy, found: LabelMap, dice: dict[str, float]) -> list[ShownSlice]:
    """Return truth and answer on the sagittal plane through the middle of the vertebrae, in true proportions."""
    assert study.labels is not None
    truth = study.labels
    columns = np.argwhere((truth.labels > 0).any(axis=(0, 1)))[:, 0]
    column = int(np.median(columns)) if len(columns) else truth.labels.shape[2] // 2
    mean = np.mean(list(dice.values())) if dice else float("nan")
    gray = _square(BONE.gray(study.volume.hu[:, :, column]), study, fill=0)
    pairs = ((truth, f"{study.uid[-12:]}: truth"), (found, f"found, mean Dice {mean:.2f}"))
    return [ShownSlice(gray, _square(m.labels[:, :, column], study, fill=0), (), words) for m, words in pairs]


def _square(plane: np.ndarray, study: LabeledStudy, fill: int) -> np.ndarray:
    """Return a sagittal plane (slice, row) with square pixels, padded to a square."""
    high, deep, _ = study.volume.grid.spacing_mm
    rows = np.floor(np.arange(round(plane.shape[0] * high / deep)) * deep / high).astype(int)
    level = plane[np.clip(rows, 0, plane.shape[0] - 1)]
    side = max(level.shape)
    wide = [((side - n) // 2, side - n - (side - n) // 2) for n in level.shape]
    return np.pad(level, wide, constant_values=fill)
