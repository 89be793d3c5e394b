"""Rules that keep or drop slices of an index, by name, and the funnel of what each of them removes.

A rule is written ``name=value``. Rules of slices look at the slice alone, so of a study with some images of another
shape the others stay; rules of studies keep or drop all of its slices. They act one after the other.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cspine.datasets.index import TARGETS, UID, RsnaIndex
from cspine.domain import ConfigError

Mask = Callable[[pd.DataFrame], np.ndarray]

_RANGE = re.compile(r"^(?P<low>[\d.]*?)\.\.(?P<high>[\d.]*)$")
_SHAPE = re.compile(r"^(\d+)x(\d+)$")
# Up to and above this many slices the `efficientnet-c1` paper makes two groups of studies.
SLICE_GROUP_LIMIT = 350
SELECTED_STUDIES, SELECTED_SLICES = "studies.csv", "slices.csv"
FEW, MANY = f"≤ {SLICE_GROUP_LIMIT}", f"> {SLICE_GROUP_LIMIT}"

_KARNO = (
    "part=train",
    "overall=1",
    "transfer-syntax=1.2.840.10008.1.2.1",
    "photometric=MONOCHROME2",
    "bits-stored=16",
    "shape=512x512",
    "pixel-representation=1",
)
PRESETS: dict[str, tuple[str, ...]] = {
    "usable": ("usable=yes",),
    "efficientnet-c1": _KARNO,
    "efficientnet-c1-few": (*_KARNO, f"slices=..{SLICE_GROUP_LIMIT}"),
    "efficientnet-c1-many": (*_KARNO, f"slices={SLICE_GROUP_LIMIT + 1}.."),
}


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes
    ----------
    text
        As it was written.
    of_studies
        Whether it looks at the table of studies; else at that of slices.
    keeps
        Table → which of its rows stay.
    """

    text: str
    of_studies: bool
    keeps: Mask


@dataclass(frozen=True, eq=False)
class Selection:
    """What rules left of an index.

    Attributes
    ----------
    slices, studies
        The rows that stayed. Studies have a column ``kept_slices`` and the group of the `efficientnet-c1` paper,
        which goes by the number of slices that the study has, not by those kept.
    funnel
        rule, studies, slices, studies_removed, slices_removed; the first row is what there was.
    """

    slices: pd.DataFrame
    studies: pd.DataFrame
    funnel: pd.DataFrame
    rules: tuple[str, ...]


def select(index: RsnaIndex, rules: Sequence[str]) -> Selection:
    """Apply rules one after the other.

    Raises
    ------
    ConfigError
        A rule or its value is unknown.
    """
    parsed = [parse_rule(text) for text in rules]
    slices, studies = index.slices, index.studies
    steps = [("all", len(studies), len(slices))]
    for rule in parsed:
        if rule.of_studies:
            studies = studies[rule.keeps(studies)]
        else:
            slices = slices[rule.keeps(slices)]
        slices = slices[slices[UID].isin(set(studies[UID]))]
        studies = studies[studies[UID].isin(set(slices[UID].astype(str)))]
        steps.append((rule.text, len(studies), len(slices)))
    funnel = pd.DataFrame(steps, columns=["rule", "studies", "slices"])
    for name in ("studies", "slices"):
        funnel[f"{name}_removed"] = -funnel[name].diff().fillna(0).astype(int)
    kept = slices[UID].astype(str).value_counts()
    studies = studies.assign(
        kept_slices=studies[UID].map(kept).astype("Int32"),
        group=np.where(studies["slices"] <= SLICE_GROUP_LIMIT, FEW, MANY),
    )
    return Selection(slices, studies.reset_index(drop=True), funnel, tuple(rule.text for rule in parsed))


def parse_rule(text: str) -> Rule:
    """Return the rule that is written ``name=value``.

    Raises
    ------
    ConfigError
        There is no rule of that name, or its value is not of the kind that it needs.
    """
    name, equals, value = text.partition("=")
    maker = _MAKERS.get(name.strip())
    if maker is None or not equals or not value.strip():
        raise ConfigError(
            f"{text!r} is no rule; write one of {', '.join(f'{n}={k.example}' for n, k in _MAKERS.items())}"
        )
    try:
        keeps = maker.make(value.strip())
    except ValueError as error:
        raise ConfigError(f"{text!r}: {error}; for example {name}={maker.example}") from error
    return Rule(f"{name.strip()}={value.strip()}", maker.of_studies, keeps)


def rules_of(preset: str) -> tuple[str, ...]:
    """Return the rules of a preset.

    Raises
    ------
    ConfigError
        There is none of that name.
    """
    if preset not in PRESETS:
        raise ConfigError(f"unknown preset {preset!r}; known are {', '.join(PRESETS)}")
    return PRESETS[preset]


def _equals(column: str) -> Callable[[str], Mask]:
    return lambda value: lambda table: (table[column].astype(str) == value).to_numpy()


def _number_equals(column: str) -> Callable[[str], Mask]:
    def make(value: str) -> Mask:
        wanted = int(value)
        return lambda table: (table[column] == wanted).fillna(False).to_numpy(bool)

    return make


def _yes_or_no(kept: Callable[[pd.DataFrame], pd.Series]) -> Callable[[str], Mask]:
    def make(value: str) -> Mask:
        if value not in ("yes", "no"):
            raise ValueError(f"{value!r} is neither yes nor no")
        return lambda table: kept(table).to_numpy(bool) == (value == "yes")

    return make


def _between(column: str) -> Callable[[str], Mask]:
    def make(value: str) -> Mask:
        found = _RANGE.match(value)
        if found is None:
            raise ValueError(f"{value!r} is no range")
        low, high = (float(found[side] or edge) for side, edge in (("low", "-inf"), ("high", "inf")))
        return lambda table: table[column].astype("Float64").between(low, high).fillna(False).to_numpy(bool)

    return make


def _shape(value: str) -> Mask:
    found = _SHAPE.match(value)
    if found is None:
        raise ValueError(f"{value!r} is no ROWSxCOLUMNS")
    rows, columns = int(found[1]), int(found[2])
    return lambda table: ((table["Rows"] == rows) & (table["Columns"] == columns)).fillna(False).to_numpy(bool)


def _fractured(value: str) -> Mask:
    names = value.split(",")
    unknown = [name for name in names if name not in TARGETS]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is none of {', '.join(TARGETS)}")
    return lambda table: (table[names] == 1).fillna(False).any(axis=1).to_numpy(bool)


@dataclass(frozen=True)
class _Maker:
    make: Callable[[str], Mask]
    example: str
    of_studies: bool = False


_MAKERS: dict[str, _Maker] = {
    "part": _Maker(_equals("part"), "train", of_studies=True),
    "usable": _Maker(_yes_or_no(lambda t: t["usable"]), "yes", of_studies=True),
    "overall": _Maker(_number_equals("patient_overall"), "1", of_studies=True),
    "fractured": _Maker(_fractured, "C1,C2", of_studies=True),
    "slices": _Maker(_between("slices"), f"..{SLICE_GROUP_LIMIT}", of_studies=True),
    "spacing": _Maker(_between("spacing_mm"), "..1.0", of_studies=True),
    "extent": _Maker(_between("extent_mm"), "100..", of_studies=True),
    "gaps": _Maker(_between("gaps"), "..0", of_studies=True),
    "mask": _Maker(_yes_or_no(lambda t: t["mask"].notna()), "yes", of_studies=True),
    "boxes": _Maker(_yes_or_no(lambda t: t["boxes"] > 0), "yes", of_studies=True),
    "transfer-syntax": _Maker(_equals("TransferSyntaxUID"), "1.2.840.10008.1.2.1"),
    "photometric": _Maker(_equals("PhotometricInterpretation"), "MONOCHROME2"),
    "bits-stored": _Maker(_number_equals("BitsStored"), "16"),
    "pixel-representation": _Maker(_number_equals("PixelRepresentation"), "1"),
    "shape": _Maker(_shape, "512x512"),
    "pixels": _Maker(_equals("pixels"), "whole"),
}
