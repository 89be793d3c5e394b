"""Find what stands on both sides of a split: the same study, the same study under another name, and copies of slices.

Three steps, cheap ones first. Keys: a study in two parts. Hashes: slices with the same pixels. Looks: fingerprints of
all slices are compared across the parts, and what is alike is laid on one another and compared by its texture and, in
the same place, by its grain. The first two need no pixels or read each once; the third is the only one that compares
pairs, and costs small matrix products.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import product

import numpy as np

from cspine.datasets.alignment import Alignment, align, grain_agreement, texture
from cspine.datasets.fingerprints import Mirror, mirror_signs

# Fingerprints that agree by less are of different pictures. Whole frames of necks are more alike than windows round a
# bone.
ALIKE_FRAME, ALIKE_ANCHORED = 0.90, 0.70
# Texture and grain that both agree by more are those of one picture; copies agree by .7 or more.
SAME, SAME_GRAIN = 0.6, 0.6
# How many look-alikes of a slice are looked at, and how many of two studies.
PER_SLICE, PER_PAIR = 6, 12
# From this many copied slices on, two studies are called the same.
SAME_STUDY_SLICES = 3
_ROWS, _COLUMNS = 256, 16_384
_CACHED = 96
_SIGNS = {mirror: mirror_signs(mirror) for mirror in Mirror}


class LeakKind(StrEnum):
    """What is on both sides."""

    BOTH_SIDES = "study-on-both-sides"
    SAME_STUDY = "same-study"
    SLICES = "slices"


@dataclass(frozen=True)
class Slide:
    """One picture of a data set.

    Attributes
    ----------
    key
        Its file, relative to the root.
    owner
        Study or patient that it is of; pictures of one owner are never called copies of one another.
    part
        Of the split.
    scale
        Above 1: a second look at a picture, as if it had been cropped and enlarged by that factor.
    """

    key: str
    owner: str
    part: str
    scale: float = 1.0


@dataclass(frozen=True, eq=False)
class Prints:
    """Fingerprints of slides, in their order: hashes, and descriptors (N, D) and (N, A, D)."""

    pixel_hash: np.ndarray
    frame: np.ndarray
    anchored: np.ndarray


@dataclass(frozen=True)
class Leak:
    """One thing on both sides.

    Attributes
    ----------
    slices
        Copied slices that were confirmed; with look-alikes there may be more.
    similarity
        Of the pair of files named: 1 for identical pixels, else the correlation of their textures.
    """

    kind: LeakKind
    one: str
    other: str
    part_one: str
    part_other: str
    slices: int = 0
    similarity: float = 1.0
    how: str = ""
    file_one: str = ""
    file_other: str = ""


@dataclass(frozen=True)
class _Match:
    one: int
    other: int
    similarity: float
    how: str


Pixels = tuple[np.ndarray, tuple[float, float] | None]
Load = Callable[[str], Pixels | None]


def find_leaks(slides: Sequence[Slide], prints: Prints, load: Load, threads: int = 1) -> list[Leak]:
    """Return everything that stands in two parts, the surest first.

    Parameters
    ----------
    load
        Returns the pixels of a slide's key and their size in mm, ``None`` when they cannot be read.
    """
    matches = list(_identical(slides, prints))
    known = {frozenset((match.one, match.other)) for match in matches}
    found = [pair for pair in _alike(slides, prints, threads) if frozenset(pair[:2]) not in known]
    matches += _confirmed(slides, found, load, threads)
    return _both_sides(slides) + _by_owners(slides, matches)


def _both_sides(slides: Sequence[Slide]) -> list[Leak]:
    parts: dict[str, dict[str, str]] = defaultdict(dict)
    for slide in slides:
        parts[slide.owner].setdefault(slide.part, slide.key)
    leaks = []
    for owner, files in sorted(parts.items()):
        if len(files) > 1:
            (a, one), (b, other) = sorted(files.items())[:2]
            leaks.append(Leak(LeakKind.BOTH_SIDES, owner, owner, a, b, file_one=one, file_other=other))
    return leaks


def _identical(slides: Sequence[Slide], prints: Prints) -> Iterator[_Match]:
    by_hash: dict[str, list[int]] = defaultdict(list)
    for number, (slide, known) in enumerate(zip(slides, prints.pixel_hash.tolist(), strict=True)):
        if slide.scale == 1.0 and prints.frame[number].any():  # an empty picture is like every other empty picture
            by_hash[known].append(number)
    for numbers in by_hash.values():
        for place, one in enumerate(numbers):
            for other in numbers[place + 1 :]:
                if _apart(slides[one], slides[other]):
                    yield _Match(one, other, 1.0, "identical pixels")


def _apart(one: Slide, other: Slide) -> bool:
    return one.part != other.part and one.owner != other.owner


def _alike(slides: Sequence[Slide], prints: Prints, threads: int) -> list[tuple[int, int, Mirror, float]]:
    """Return pairs of slides in different parts whose fingerprints agree: (one, other, mirror, by how much)."""
    names = sorted({slide.part for slide in slides})
    parts = np.array([names.index(slide.part) for slide in slides])
    owner_names = {name: k for k, name in enumerate(sorted({slide.owner for slide in slides}))}
    owners = np.array([owner_names[slide.owner] for slide in slides])
    order = np.argsort(parts, kind="stable")
    sides = _Sides(
        order, parts[order], owners[order], np.array([slides[k].scale for k in order]), _ready(prints.frame[order]),
        _ready(prints.anchored[order]),
    )  # fmt: skip
    with ThreadPoolExecutor(max(1, threads)) as pool:
        blocks = pool.map(sides.look_alikes, range(0, len(slides), _ROWS))
        return [pair for block in blocks for pair in block]


def _ready(descriptors: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(descriptors, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class _Sides:
    """Fingerprints in the order of their parts."""

    order: np.ndarray
    parts: np.ndarray
    owners: np.ndarray
    scales: np.ndarray
    frame: np.ndarray
    anchored: np.ndarray

    def look_alikes(self, start: int) -> list[tuple[int, int, Mirror, float]]:
        """Compare a block of slides with all in later parts."""
        rows = slice(start, start + _ROWS)
        first = int(np.searchsorted(self.parts, self.parts[rows][0], side="right"))
        best: dict[int, list[tuple[float, int]]] = defaultdict(list)
        for at in range(first, len(self.order), _COLUMNS):
            columns = slice(at, at + _COLUMNS)
            never = self.parts[rows][:, None] >= self.parts[None, columns]
            never |= self.owners[rows][:, None] == self.owners[None, columns]
            never |= (self.scales[rows][:, None] > 1) & (self.scales[None, columns] > 1)
            agreement = _agreement(self.frame[rows], self.frame[columns]) - ALIKE_FRAME
            for one, other in product(range(self.anchored.shape[1]), repeat=2):
                anchored = _agreement(self.anchored[rows, one], self.anchored[columns, other]) - ALIKE_ANCHORED
                np.maximum(agreement, anchored, out=agreement)
            agreement[never] = -1
            for row in np.flatnonzero(agreement.max(axis=1) > 0):
                values = agreement[row]
                top = np.argpartition(-values, min(PER_SLICE, len(values) - 1))[:PER_SLICE]
                best[start + int(row)] += [(float(values[k]), at + int(k)) for k in top if values[k] > 0]
        return [
            (int(self.order[row]), int(self.order[column]), self._mirror(row, column), value)
            for row, found in best.items()
            for value, column in sorted(found, reverse=True)[:PER_SLICE]
        ]

    def _mirror(self, one: int, other: int) -> Mirror:
        """Return how the second slide must be turned to be most like the first one."""

        def agreement(mirror: Mirror) -> float:
            signs = _SIGNS[mirror]
            anchored = (self.anchored[one] * signs) @ self.anchored[other].T
            frame = float((self.frame[one] * signs) @ self.frame[other])
            return max(frame - ALIKE_FRAME, float(anchored.max()) - ALIKE_ANCHORED)

        return max(Mirror, key=agreement)


def _agreement(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the product of each descriptor with each other one (R, C), the best of the four mirrored ways.

    Mirroring turns signs of the coefficients of odd order along an axis. Those of even and odd order along both axes
    together give two sums, those of different order two more; the four ways are sums and differences of them.
    """
    alike = _SIGNS[Mirror.BOTH] > 0

    def better(turned: np.ndarray) -> np.ndarray:
        found: np.ndarray = turned[:, alike] @ columns[:, alike].T
        found += np.abs(turned[:, ~alike] @ columns[:, ~alike].T)
        return found

    best: np.ndarray = np.maximum(better(rows), better(rows * _SIGNS[Mirror.ROWS]))
    return best


def _confirmed(
    slides: Sequence[Slide], found: list[tuple[int, int, Mirror, float]], load: Load, threads: int
) -> list[_Match]:
    """Lay look-alikes on one another and keep those whose textures are the same."""
    by_pair: dict[tuple[str, str], list[tuple[int, int, Mirror, float]]] = defaultdict(list)
    for entry in found:
        by_pair[slides[entry[0]].owner, slides[entry[1]].owner].append(entry)
    wanted = [e for entries in by_pair.values() for e in sorted(entries, key=lambda e: -e[3])[:PER_PAIR]]
    wanted.sort(key=lambda e: (slides[e[0]].key, slides[e[1]].key))

    @lru_cache(maxsize=_CACHED)
    def of(key: str, scale: float) -> tuple[Pixels, np.ndarray] | None:
        pixels = load(key)
        return None if pixels is None else (pixels, texture(*pixels, scale))

    def look(entry: tuple[int, int, Mirror, float]) -> _Match | None:
        a, b = slides[entry[0]], slides[entry[1]]
        one, other = of(a.key, a.scale), of(b.key, b.scale)
        if one is None or other is None:
            return None
        alignment = align(one[1], other[1], (entry[2],))
        if alignment.similarity < SAME or not _same_grain(one[0], other[0], alignment):
            return None
        moved = max(map(abs, alignment.shift_rc)) > 0
        how = ", ".join(["moved"] * moved + [entry[2].value] * (entry[2] is not Mirror.NONE)) or "re-encoded"
        return _Match(entry[0], entry[1], alignment.similarity, how)

    with ThreadPoolExecutor(max(1, threads)) as pool:
        return [match for match in pool.map(look, wanted) if match is not None]


def _same_grain(one: Pixels, other: Pixels, alignment: Alignment) -> bool:
    """Whether the grain agrees, too; where no pixel size is known, a copy may be enlarged and have another one."""
    if one[1] is None or other[1] is None:
        return True
    return grain_agreement(one[0], one[1], other[0], other[1], alignment) >= SAME_GRAIN


def _by_owners(slides: Sequence[Slide], matches: Sequence[_Match]) -> list[Leak]:
    """Return one leak for each pair of owners."""
    by_pair: dict[tuple[str, str], list[_Match]] = defaultdict(list)
    for match in matches:
        first, second = sorted((match.one, match.other), key=lambda k: (slides[k].part, slides[k].owner))
        owners = slides[first].owner, slides[second].owner
        by_pair[owners].append(_Match(first, second, match.similarity, match.how))
    leaks = []
    for (one, other), found in by_pair.items():
        best = max(found, key=lambda match: match.similarity)
        a, b = slides[best.one], slides[best.other]
        count = len({slides[m.one].key for m in found})
        kind = LeakKind.SAME_STUDY if count >= SAME_STUDY_SLICES else LeakKind.SLICES
        leaks.append(Leak(kind, one, other, a.part, b.part, count, round(best.similarity, 4), best.how, a.key, b.key))
    return sorted(leaks, key=lambda leak: (leak.kind is LeakKind.SLICES, -leak.slices, leak.one, leak.other))
