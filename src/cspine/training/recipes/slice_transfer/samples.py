"""An image folder as samples: read once, split by patient where there are any, checked for leaks."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from cspine.datasets import AugmentRange, sample_augmentation
from cspine.domain import ConfigError
from cspine.training.backbones import Start, normalized
from cspine.training.recipes.slice_transfer.config import SliceTransfer
from cspine.training.recipes.slice_transfer.images import FolderImage, FolderImages, read_gray

SHOWN = 3


@dataclass(frozen=True)
class FolderSamples:
    """Images of one part in memory.

    Attributes
    ----------
    pixels
        (images, rows, columns) uint8.
    labels
        (images, 1) float32, 1 is the positive class.
    """

    pixels: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    patients: tuple[str, ...]
    start: Start
    augment: AugmentRange

    def draw(self, number: int, rng: np.random.Generator) -> torch.Tensor:
        """Return an augmented image, (3, rows, columns), normalized."""
        return self._ready(sample_augmentation(self.augment, rng).apply(self.pixels[number]))

    def plain(self, number: int) -> torch.Tensor:
        """Return an image as it is."""
        return self._ready(self.pixels[number].astype(np.float32) / 255)

    def _ready(self, gray: np.ndarray) -> torch.Tensor:
        image = torch.from_numpy(np.ascontiguousarray(gray, dtype=np.float32))[None].expand(3, -1, -1)
        return normalized(image, self.start)

    def name(self, number: int) -> str:
        """Return the file."""
        return self.names[number]


@dataclass(frozen=True)
class Split:
    """Which image stands where.

    Attributes
    ----------
    kind
        Words for documents: by whom it was made and what was kept together.
    leaks
        Files that are the same image and stand in different parts.
    """

    train: tuple[FolderImage, ...]
    valid: tuple[FolderImage, ...]
    test: tuple[FolderImage, ...]
    kind: str
    leaks: tuple[str, ...] = ()


def split_folder(folder: FolderImages, recipe: SliceTransfer) -> Split:
    """Divide a folder by its own parts where it has them, else by drawing groups.

    Images of one patient, and equal files, stay together in what is drawn here.

    Raises
    ------
    ConfigError
        A class is absent from a part, or the folder's own split leaks.
    """
    parts = {part: [i for i in folder.images if i.part == part] for part in ("", "train", "valid", "test")}
    rest = [*parts[""], *parts["train"]]
    test, valid = parts["test"], parts["valid"]
    if not test:
        rest, test = _drawn(rest, recipe.test_share, recipe, 1)
    if not valid:
        rest, valid = _drawn(rest, recipe.valid_share, recipe, 2)
    who = "the folder's own test part" if parts["test"] else "drawn test part"
    split = Split(
        tuple(rest), tuple(valid), tuple(test), f"{who}, {folder.patients}", _leaks((rest, valid, test), folder)
    )
    if split.leaks and recipe.leaks == "refuse":
        raise ConfigError(
            f"{folder.root}: its own split leaks: {len(split.leaks)} cases, such as {'; '.join(split.leaks[:SHOWN])}; "
            "remove them, or set leaks=report to have it said beside every figure"
        )
    _check_classes(split)
    return split


def fold_splits(folder: FolderImages, recipe: SliceTransfer, folds: int) -> list[Split]:
    """Return one split per fold: each group is tested once, and validated on in the fold before.

    Raises
    ------
    ConfigError
        Fewer than three folds, fewer groups than folds, or a class is absent from a fold.
    """
    groups = _groups(folder.images)
    if folds < 3 or len(groups) < folds:
        raise ConfigError(f"{folds} folds of {len(groups)} groups: use from 3 to {len(groups)} folds")
    order = _stratified(groups, recipe)
    splits = []
    for k in range(folds):
        parts: tuple[list[FolderImage], ...] = ([], [], [])
        for place, group in enumerate(order):
            fold = place % folds
            parts[2 if fold == k else 1 if fold == (k + 1) % folds else 0].extend(group)
        train, valid, test = (tuple(part) for part in parts)
        split = Split(train, valid, test, f"fold {k + 1} of {folds}, {folder.patients}")
        _check_classes(split)
        splits.append(split)
    return splits


def load_samples(images: Sequence[FolderImage], recipe: SliceTransfer, start: Start) -> FolderSamples:
    """Read the images of a part."""
    pixels = np.stack([read_gray(image.path, recipe.image_size) for image in images])
    labels = np.array([[image.positive] for image in images], dtype=np.float32)
    names = tuple(f"{image.path.parent.name}/{image.path.name}" for image in images)
    return FolderSamples(pixels, labels, names, tuple(image.patient for image in images), start, recipe.augment)


def _groups(images: Sequence[FolderImage]) -> list[list[FolderImage]]:
    """Return images that must stay together: of one patient, or equal files."""
    leader: dict[str, str] = {}

    def root(key: str) -> str:
        while leader.setdefault(key, key) != key:
            key = leader[key]
        return key

    for image in images:
        leader[root(f"file {image.digest}")] = root(f"patient {image.patient}")
    found: dict[str, list[FolderImage]] = defaultdict(list)
    for image in images:
        found[root(f"patient {image.patient}")].append(image)
    return list(found.values())


def _stratified(groups: list[list[FolderImage]], recipe: SliceTransfer) -> list[list[FolderImage]]:
    """Return groups in random order, those with positives first, so that cutting it round robin shares both."""
    rng = np.random.default_rng([recipe.seed, 21])
    shuffled = [groups[int(k)] for k in rng.permutation(len(groups))]
    return sorted(shuffled, key=lambda group: not any(i.positive for i in group))


def _drawn(
    images: list[FolderImage], share: float, recipe: SliceTransfer, salt: int
) -> tuple[list[FolderImage], list[FolderImage]]:
    """Return (rest, drawn): whole groups of each class until a share of the class's images is reached."""
    rng = np.random.default_rng([recipe.seed, 22, salt])
    groups = _groups(images)
    wanted = {label: share * count for label, count in Counter(i.positive for i in images).items()}
    rest: list[FolderImage] = []
    drawn: list[FolderImage] = []
    have: Counter[bool] = Counter()
    for k in rng.permutation(len(groups)):
        group = groups[int(k)]
        labels = Counter(i.positive for i in group)
        fits = all(have[label] + count / 2 <= wanted[label] for label, count in labels.items())
        (drawn if fits else rest).extend(group)
        if fits:
            have.update(labels)
    return rest, drawn


def _leaks(parts: tuple[Sequence[FolderImage], ...], folder: FolderImages) -> tuple[str, ...]:
    seen: dict[str, tuple[int, FolderImage]] = {}
    found = []
    for number, part in enumerate(parts):
        for image in part:
            keys = [f"file {image.digest}", *([f"patient {image.patient}"] if folder.has_patients else [])]
            for key in keys:
                first = seen.setdefault(key, (number, image))
                if first[0] != number:
                    where = (first[1].path.relative_to(folder.root), image.path.relative_to(folder.root))
                    found.append(f"{where[0]} and {where[1]} ({key.split()[0]})")
    return tuple(found)


def _check_classes(split: Split) -> None:
    for name, part in (("training", split.train), ("validation", split.valid), ("test", split.test)):
        positives = sum(image.positive for image in part)
        if not 0 < positives < len(part):
            absent = "no positive" if positives == 0 else "no negative"
            raise ConfigError(
                f"the {name} part ({split.kind}) has {absent} among {len(part)} images; use more images or fewer folds"
            )
