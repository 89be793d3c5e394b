"""Splits of a data set that no study crosses, stored with a hash; and, marked loudly, the one that leaks.

Images of one study are strongly correlated: a model that saw some of them recognizes the others. So studies are grouped
(with all other studies of the same patient, and with known duplicates) and stay together. What two of the reproduced
papers did, splitting image by image, is available for comparison only: its mark stands in the file and is shown by
whatever reads it.
"""

import hashlib
import json
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cspine.datasets.filters import SELECTED_SLICES, SELECTED_STUDIES
from cspine.datasets.index import LEVELS, TARGETS, UID, RsnaIndex
from cspine.dicom import write_atomically
from cspine.domain import ConfigError, InputError, NoImages

SPLIT_SCHEMA = "1.0"
LEAKY_MARK = (
    "LEAKY SPLIT (by image): slices of the same patient stand on both sides; figures from it are no measure of "
    "what a model does on new patients"
)
BY_STUDY, BY_IMAGE = "study", "image"


FEWEST_FOLDS, MOST_FOLDS = 2, 20


@dataclass(frozen=True)
class Scheme:
    """How a data set is cut.

    Attributes
    ----------
    folds
        Into how many equal pieces; `parts` say which of them belong together.
    """

    name: str
    folds: int
    parts: tuple[tuple[str, range], ...]


def folds_named(count: int) -> Scheme:
    """Return ``fold-0`` … ``fold-<count - 1>``, a piece each."""
    return Scheme(f"{count}-fold", count, tuple((f"fold-{k}", range(k, k + 1)) for k in range(count)))


SCHEMES: dict[str, Scheme] = {
    "90/5/5": Scheme("90/5/5", 20, (("train", range(2, 20)), ("validation", range(1)), ("test", range(1, 2)))),
    "80/10/10": Scheme("80/10/10", 10, (("train", range(2, 10)), ("validation", range(1)), ("test", range(1, 2)))),
    "90/10": Scheme("90/10", 10, (("train", range(1, 10)), ("test", range(1)))),
    "80/20": Scheme("80/20", 5, (("train", range(1, 5)), ("test", range(1)))),
    "5-fold": folds_named(5),
}


@dataclass(frozen=True)
class Split:
    """Which study, or in a leaky split which image, is in which part.

    Attributes
    ----------
    parts
        Part → keys in order: StudyInstanceUIDs, or files relative to the root when split by image.
    by
        ``"study"`` or ``"image"``.
    prevalence
        Part → target → share of positive studies (of images' studies, by image); ``None`` where no label is known.
    """

    scheme: str
    by: str
    seed: int
    parts: Mapping[str, tuple[str, ...]]
    prevalence: Mapping[str, Mapping[str, float | None]]

    @property
    def mark(self) -> str:
        """What every table made with this split must say first; empty for an honest one."""
        return LEAKY_MARK if self.by == BY_IMAGE else ""

    @property
    def hash(self) -> str:
        """SHA-256 of the content."""
        return hashlib.sha256(json.dumps(self._content(), sort_keys=True).encode()).hexdigest()

    def part_of(self) -> dict[str, str]:
        """Return the part of each key."""
        return {key: name for name, keys in self.parts.items() for key in keys}

    def studies_of(self, part: str) -> tuple[str, ...]:
        """Return the studies of a part, in order; by image, those with an image in it.

        Raises
        ------
        ConfigError
            There is no such part.
        """
        if part not in self.parts:
            raise ConfigError(f"the split has no part {part!r}; it has {', '.join(self.parts)}")
        return tuple(sorted({study_of(key, self.by) for key in self.parts[part]}))

    def document(self) -> dict[str, Any]:
        """Return the content of the file."""
        return {"hash": self.hash, "leaky": bool(self.mark), "mark": self.mark, **self._content()}

    def _content(self) -> dict[str, Any]:
        return {
            "schema_version": SPLIT_SCHEMA,
            "scheme": self.scheme,
            "by": self.by,
            "seed": self.seed,
            "parts": {name: list(keys) for name, keys in self.parts.items()},
            "prevalence": {name: dict(values) for name, values in self.prevalence.items()},
        }


def study_of(key: str, by: str) -> str:
    """Return the study of a key: a UID itself, or the folder of a file."""
    return key.split("/")[-2] if by == BY_IMAGE else key


def split_studies(
    studies: pd.DataFrame, scheme: str, seed: int = 0, duplicates: Iterable[tuple[str, str]] = ()
) -> Split:
    """Split the studies of an index: grouped by study, patient and known duplicates, stratified by the level pattern.

    Parameters
    ----------
    studies
        Rows of `RsnaIndex.studies`.
    duplicates
        Pairs of studies that show the same patient, as a leak check finds them.

    Raises
    ------
    ConfigError
        The scheme is unknown, or there are fewer groups than pieces.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # noqa: PLC0415  # a second to load, for cutting alone

    wanted = _scheme(scheme)
    studies = studies.sort_values(UID)
    groups = _groups(studies, duplicates)
    patients = int(groups.max(initial=-1)) + 1
    if patients < wanted.folds:
        raise ConfigError(f"{scheme} needs at least {wanted.folds} studies of different patients, here are {patients}")
    classes = _strata(studies, groups, wanted.folds)
    cutter = StratifiedGroupKFold(wanted.folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # a rare class is spread as well as it can be
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        pieces = [held for _, held in cutter.split(np.zeros(len(studies)), classes, groups)]
    uids = studies[UID].to_numpy(str)
    parts = {name: tuple(sorted(uids[k] for piece in which for k in pieces[piece])) for name, which in wanted.parts}
    return _with_prevalence(Split(scheme, BY_STUDY, seed, parts, {}), studies)


def split_images(slices: pd.DataFrame, studies: pd.DataFrame, scheme: str, seed: int = 0) -> Split:
    """Split image by image, as two of the reproduced papers did; the result leaks and says so.

    Raises
    ------
    ConfigError
        The scheme is unknown, or there are fewer images than pieces.
    """
    wanted = _scheme(scheme)
    files = np.array(sorted(slices["file"]))
    if len(files) < wanted.folds:
        raise ConfigError(f"{scheme} needs at least {wanted.folds} images, here are {len(files)}")
    mixed = np.random.default_rng(seed).permutation(files)
    edges = np.rint(np.linspace(0, len(files), wanted.folds + 1)).astype(int)
    parts = {
        name: tuple(sorted(str(f) for f in mixed[edges[which.start] : edges[which.stop]]))
        for name, which in wanted.parts
    }
    return _with_prevalence(Split(scheme, BY_IMAGE, seed, parts, {}), studies)


def labeled_studies(index: RsnaIndex) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the usable studies of the training part and their slices.

    Raises
    ------
    NoImages
        There are none.
    """
    studies = index.studies
    studies = studies[(studies["part"] == "train") & studies["usable"]].reset_index(drop=True)
    if studies.empty:
        raise NoImages(f"{index.folder}: no usable study in train_images")
    return studies, index.slices[index.slices[UID].isin(set(studies[UID]))]


def selected(index: RsnaIndex, folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the studies and slices of an index that a selection kept.

    Raises
    ------
    NoImages
        There is no selection, or nothing of the index is in it.
    """
    try:
        uids = set(pd.read_csv(folder / SELECTED_STUDIES, dtype=str)[UID])
        files = set(pd.read_csv(folder / SELECTED_SLICES, dtype=str)["file"])
    except (OSError, ValueError, KeyError) as error:
        raise NoImages(f"{folder}: holds no selection ({error}); make one with: cspine data filter") from error
    studies = index.studies[index.studies[UID].isin(uids)].reset_index(drop=True)
    if studies.empty:
        raise NoImages(f"{folder}: no study of this selection is in {index.folder}")
    return studies, index.slices[index.slices["file"].isin(files)]


def write_split(split: Split, path: Path) -> None:
    """Write a split as JSON; raises `StoreError` when the file cannot be written."""
    write_atomically(path, (json.dumps(split.document(), indent=1) + "\n").encode())


def read_split(path: Path) -> Split:
    """Read a split and check its hash.

    Raises
    ------
    NoImages
        There is no such file.
    InputError
        It is no split, of another version, or was changed by hand.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        parts = {str(name): tuple(map(str, keys)) for name, keys in content["parts"].items()}
        split = Split(content["scheme"], content["by"], content["seed"], parts, content["prevalence"])
        stated, version = content["hash"], content["schema_version"]
    except OSError as error:
        raise NoImages(f"{path}: cannot be read: {error.strerror}; make one with: cspine data split") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: is no split of cspine ({type(error).__name__}: {error})") from error
    if version != SPLIT_SCHEMA:
        raise InputError(f"{path}: a split of version {version!r}, this is {SPLIT_SCHEMA!r}; split again")
    if split.hash != stated or content.get("mark") != split.mark:
        raise InputError(f"{path}: its content does not fit its hash {str(stated)[:12]}…; it was changed, split again")
    return split


def _scheme(name: str) -> Scheme:
    count = name.removesuffix("-fold")
    if name.endswith("-fold") and count.isdecimal() and FEWEST_FOLDS <= int(count) <= MOST_FOLDS:
        return folds_named(int(count))
    if name not in SCHEMES:
        raise ConfigError(
            f"unknown scheme {name!r}; known are {', '.join(SCHEMES)}, and {FEWEST_FOLDS}-fold … {MOST_FOLDS}-fold"
        )
    return SCHEMES[name]


def _groups(studies: pd.DataFrame, duplicates: Iterable[tuple[str, str]]) -> np.ndarray:
    """Return the number of each study's group: studies of one patient, and duplicates, are together."""
    uids = studies[UID].to_numpy(str)
    home = {uid: uid for uid in uids}

    def root(uid: str) -> str:
        while home[uid] != uid:
            home[uid] = uid = home[home[uid]]
        return uid

    first: dict[str, str] = {}
    for uid, patient in zip(uids, studies["PatientID"].to_numpy(str), strict=True):
        if patient and patient != "nan":
            home[root(uid)] = root(first.setdefault(patient, uid))
    for one, other in duplicates:
        if one in home and other in home:
            home[root(one)] = root(other)
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(root(uid), len(numbers)) for uid in uids], dtype=np.int64)


def _strata(studies: pd.DataFrame, groups: np.ndarray, folds: int) -> np.ndarray:
    """Return a class for each study: its level pattern, or where too few share it, something coarser.

    Coarser means: its number of fractured levels, then fractured or not. A class is large enough when each piece can
    get a study of it from another group.
    """
    patterns = [_pattern(row) for row in studies[list(TARGETS)].itertuples(index=False)]
    levels: list[Sequence[str]] = [
        patterns,
        [f"{p.count('1') if p != '?' else '?'} levels" for p in patterns],
        ["fractured" if "1" in p else "rest" for p in patterns],
    ]
    classes: list[str] = list(levels[0])
    for coarser in levels[1:]:
        counts = Counter(dict(zip(groups.tolist(), classes, strict=True)).values())
        classes = [c if counts[c] >= folds else coarse for c, coarse in zip(classes, coarser, strict=True)]
    return np.array(classes if max(Counter(classes).values()) >= folds else ["all"] * len(classes))


def _pattern(row: Iterable[Any]) -> str:
    cells = ["?" if pd.isna(cell) else str(int(cell)) for cell in row]
    return "?" if "?" in cells else "".join(cells[1:])


def _with_prevalence(split: Split, studies: pd.DataFrame) -> Split:
    labels = studies.set_index(UID)[list(TARGETS)]
    prevalence: dict[str, dict[str, float | None]] = {}
    for part in split.parts:
        shares = labels.loc[list(split.studies_of(part))].astype("Float64").mean()
        prevalence[part] = {name: None if pd.isna(shares[name]) else round(float(shares[name]), 6) for name in TARGETS}
    return replace(split, prevalence=prevalence)


def split_table(split: Split) -> list[tuple[str, ...]]:
    """Return head and rows: part, studies, images of a leaky split, share of fractures overall and of each level."""
    by_image = split.by == BY_IMAGE
    rows: list[tuple[str, ...]] = [("part", "studies", *(["images"] if by_image else []), "overall", *LEVELS)]
    for part, keys in split.parts.items():
        shares = (split.prevalence[part][name] for name in TARGETS)
        said = ("–" if share is None else f"{share:.1%}" for share in shares)
        images = [str(len(keys))] if by_image else []
        rows.append((part, str(len(split.studies_of(part))), *images, *said))
    return rows
