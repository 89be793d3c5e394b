"""Which slice is trained on, validated on and tested on: whole studies, whole patients, or marked as leaky."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from cspine.datasets import LEAKY_MARK, trainable_split
from cspine.domain import ConfigError
from cspine.training.stacks.stack import StackSet

PARTS = {"train": "training", "valid": "validation", "test": "test"}
NAMED = {"train": "train", "valid": "validation", "test": "test"}


@dataclass(frozen=True, eq=False)
class Parts:
    """A division of the slices of a set.

    Attributes
    ----------
    train, valid, test
        (n, 2) int32: number of the stack, number of the slice in it.
    kind
        How it was made, in words for documents.
    mark
        What must stand above every figure; empty for an honest division.
    """

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    kind: str
    mark: str = ""

    def stacks(self, part: str) -> tuple[int, ...]:
        """Return the numbers of the stacks with a slice in a part."""
        return tuple(int(n) for n in np.unique(getattr(self, part)[:, 0]))


def fold_parts(stacks: StackSet, folds: int, seed: int = 0) -> list[Parts]:
    """Return one division per fold: each group of studies is tested once, and validated on in the fold before.

    Raises
    ------
    ConfigError
        Fewer than three folds, fewer groups than folds, or a class is absent from a part.
    """
    pieces = _pieces(stacks, folds, seed)
    found = []
    for k in range(folds):
        valid = (k + 1) % folds
        rest = np.concatenate([pieces[j] for j in range(folds) if j not in (k, valid)])
        found.append(_whole(stacks, (rest, pieces[valid], pieces[k]), f"fold {k + 1} of {folds}, grouped by patient"))
    return found


def held_out(stacks: StackSet, shares: tuple[float, float] = (0.1, 0.1), seed: int = 0) -> Parts:
    """Return a division into training, validation and test part.

    Parameters
    ----------
    shares
        Of the validation and of the test part.

    Raises
    ------
    ConfigError
        Impossible shares, too few groups, or a class is absent from a part.
    """
    valid, test = shares
    if not (0 < valid < 1 and 0 < test < 1 and valid + test < 1):
        raise ConfigError(f"shares {valid:g} (validation) and {test:g} (test) must be above 0 and below 1 together")
    folds = max(3, min(20, round(1 / min(shares))), len(shares))
    pieces = _pieces(stacks, folds, seed)
    for_test, for_valid = max(1, round(test * folds)), max(1, round(valid * folds))
    cut = (pieces[for_test + for_valid :], pieces[for_test : for_test + for_valid], pieces[:for_test])
    words = f"held out ({valid:.0%} validation, {test:.0%} test), grouped by patient"
    return _whole(stacks, tuple(np.concatenate(part) for part in cut), words)


def parts_of_split(stacks: StackSet, path: Path, *, allow_leaky: bool = False) -> Parts:
    """Return the division that a file of ``cspine data split`` says.

    Raises
    ------
    ConfigError
        The split leaks and that is not allowed, lacks a part, or leaves a class out of one.
    """
    split, mark = trainable_split(path, allow_leaky)
    missing = [name for name in NAMED.values() if name not in split.parts]
    if missing:
        raise ConfigError(f"{path}: has no part {missing[0]!r}; use scheme 80/10/10 or 90/5/5, or --folds")
    part_of = split.part_of()
    keys: list[list[tuple[int, int]]] = [[], [], []]
    names = list(NAMED.values())
    for number, stack in enumerate(stacks.stacks):
        for k in range(len(stack)):
            key = stack.uid if split.by == "study" else f"train_images/{stack.uid}/{stack.numbers[k]}.dcm"
            if key in part_of:
                keys[names.index(part_of[key])].append((number, k))
    train, valid, test = (np.array(part, dtype=np.int32).reshape(-1, 2) for part in keys)
    words = f"{path.name} ({split.scheme}, by {split.by})"
    parts = Parts(train, valid, test, words, mark)
    _check(stacks, parts)
    if not mark:
        _check_groups(stacks, parts)
    return parts


def image_parts(stacks: StackSet, shares: tuple[float, float] = (0.05, 0.05), seed: int = 0) -> Parts:
    """Return a division image by image, as two of the reproduced papers did: it leaks, and carries the mark."""
    refs = np.array(list(stacks.refs()), dtype=np.int32)
    mixed = refs[np.random.default_rng([seed, 41]).permutation(len(refs))]
    valid, test = (max(1, round(share * len(refs))) for share in shares)
    words = f"by image ({shares[0]:.0%} validation, {shares[1]:.0%} test), patients on both sides"
    parts = Parts(
        _ordered(mixed[valid + test :]),
        _ordered(mixed[:valid]),
        _ordered(mixed[valid : valid + test]),
        words,
        LEAKY_MARK,
    )
    _check(stacks, parts)
    return parts


def study_groups(stacks: StackSet) -> np.ndarray:
    """Return the group of each study, (studies,): of one patient, or with a slice of the same pixels."""
    leader = list(range(len(stacks.stacks)))

    def root(n: int) -> int:
        while leader[n] != n:
            leader[n] = n = leader[leader[n]]
        return n

    first: dict[object, int] = {}
    for number, stack in enumerate(stacks.stacks):
        for key in (stack.patient, *(int(h) for h in np.unique(stack.hashes) if h)):
            leader[root(number)] = root(first.setdefault(key, number))
    return np.array([root(n) for n in range(len(leader))])


def _pieces(stacks: StackSet, folds: int, seed: int) -> list[np.ndarray]:
    groups = study_groups(stacks)
    count = len(np.unique(groups))
    if folds < 3 or count < folds:
        raise ConfigError(f"{folds} folds of {count} patients: use from 3 to {count} folds")
    overall = stacks.targets[:, 0].astype(int)
    if min(np.bincount(overall, minlength=2)) < folds:
        positives = int(overall.sum())
        raise ConfigError(
            f"{positives} positive and {len(overall) - positives} negative studies cannot stand in each of {folds} "
            "folds; use fewer folds or more studies"
        )
    cutter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    return [held for _, held in cutter.split(np.zeros(len(overall)), overall, groups)]


def _whole(stacks: StackSet, numbers: Sequence[np.ndarray], kind: str) -> Parts:
    train, valid, test = (_slices(stacks, part) for part in numbers)
    parts = Parts(train, valid, test, kind)
    _check(stacks, parts)
    return parts


def _slices(stacks: StackSet, numbers: Iterable[int]) -> np.ndarray:
    refs = [(int(n), k) for n in sorted(numbers) for k in range(len(stacks.stacks[n]))]
    return np.array(refs, dtype=np.int32).reshape(-1, 2)


def _ordered(refs: np.ndarray) -> np.ndarray:
    ordered: np.ndarray = refs[np.lexsort((refs[:, 1], refs[:, 0]))]
    return ordered


def _check(stacks: StackSet, parts: Parts) -> None:
    """Refuse a part without both answers, and phantoms in training that only evaluate."""
    for part, words in PARTS.items():
        numbers = list(parts.stacks(part))
        overall = stacks.targets[numbers, 0] if numbers else np.zeros(0)
        if not 0 < overall.sum() < len(overall):
            absent = "no positive" if not overall.sum() else "no negative"
            raise ConfigError(
                f"the {words} part ({parts.kind}) has {absent} among {len(overall)} studies; "
                "use more studies or fewer folds"
            )
    barred = [stacks.stacks[n].uid for n in parts.stacks("train") if stacks.stacks[n].family == "B"]
    if barred:
        raise ConfigError(
            f"{len(barred)} phantoms of family B, such as {barred[0]}, stand in the training part; "
            "family B only evaluates"
        )


def _check_groups(stacks: StackSet, parts: Parts) -> None:
    groups = study_groups(stacks)
    home: dict[int, tuple[str, int]] = {}
    for part, words in PARTS.items():
        for number in parts.stacks(part):
            first = home.setdefault(int(groups[number]), (part, number))
            if first[0] != part:
                one, other = stacks.stacks[first[1]].uid, stacks.stacks[number].uid
                raise ConfigError(
                    f"{parts.kind}: {one} ({PARTS[first[0]]}) and {other} ({words}) are of one patient or share "
                    "a slice; folds must be grouped, split again with cspine data split --leaks"
                )
