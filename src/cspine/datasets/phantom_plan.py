"""Which phantoms a folder holds: a plan, from which every study follows byte for byte."""

import json
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from cspine.datasets.rsna_layout import RsnaOptions
from cspine.dicom import Numbering, Storage, StoredAs, Vendor
from cspine.domain import ConfigError
from cspine.phantom import (
    PROCEDURAL,
    Coverage,
    Field,
    Fracture,
    FractureMix,
    PhantomSpec,
    Scanner,
    parse_fracture,
    sample_fractures,
    sample_spec,
    with_mimics,
    with_variants,
)


class Layout(StrEnum):
    """How the studies of a folder are stored."""

    DICOM = "dicom"
    NIFTI = "nifti"
    RSNA = "rsna"


class Size(StrEnum):
    """How large the images are.

    ``full``: as hospitals have them, some 150 MB a study. ``small``: at most 192² pixels and 120 slices, for sets of
    hundreds.
    """

    FULL = "full"
    SMALL = "small"


# Columns where a hospital has 512, and the smallest distance of slices.
_SCALED: dict[Size, tuple[int, float]] = {Size.FULL: (512, 0.0), Size.SMALL: (128, 3.0)}
_USUAL_COLUMNS = 512
SAMPLED, NO_FRACTURES = ("sampled",), ("none",)
_SEVERITIES = ("1", "2", "3", "4", "5")


def layout_named(name: str) -> Layout:
    """Return the layout of that name.

    Raises
    ------
    ConfigError
        There is none.
    """
    return Layout(_one_of(name, Layout, "layout"))


def size_named(name: str) -> Size:
    """Return the size of that name; errors as `layout_named`."""
    return Size(_one_of(name, Size, "size"))


def severities_named(text: str) -> tuple[int, int]:
    """Return least and greatest of "3" or "3-5".

    Raises
    ------
    ConfigError
        It is neither.
    """
    least, _, greatest = text.partition("-")
    if least not in _SEVERITIES or (greatest or least) not in _SEVERITIES:
        raise ConfigError(f"severity is {text!r}, must be one of 1 … 5, or a range such as 3-5")
    return int(least), int(greatest or least)


def _one_of(name: str, known: type[StrEnum], what: str) -> str:
    if name not in list(known):
        raise ConfigError(f"unknown {what} {name!r}; known are {', '.join(known)}")
    return name


@dataclass(frozen=True)
class PhantomPlan:
    """Which phantoms a folder holds; equal plans make equal bytes, whatever the number of workers.

    Attributes
    ----------
    anatomy
        ``"procedural"``, or a folder of meshes.
    matrix
        Rows and columns of every image, where `size` is not enough.
    finest_mm
        Smallest distance of slices, where `size` is not enough.
    family
        ``"A"``, or ``"B"``, which only evaluates.
    fractures
        `SAMPLED` with the odds of the RSNA set, `NO_FRACTURES`, or ``TYPE@LEVEL`` or ``TYPE@LEVEL:SEVERITY`` for each
        that every study has; these have whole necks.
    severities
        Least and greatest of fractures that are drawn, 1 (barely visible) to 5.
    unusual
        Whether anatomical variants and mimics are as common as in adults, or absent.
    rsna
        How a folder of that layout is filled.
    """

    studies: int
    seed: int
    anatomy: str = PROCEDURAL
    layout: Layout = Layout.DICOM
    matrix: int | None = None
    finest_mm: float = 0.0
    size: Size = Size.FULL
    family: str = "A"
    fractures: tuple[str, ...] = SAMPLED
    severities: tuple[int, int] = (1, 5)
    unusual: bool = True
    rsna: RsnaOptions = field(default_factory=RsnaOptions)

    def __post_init__(self) -> None:
        if not 1 <= self.studies <= 100_000:
            raise ConfigError(f"studies is {self.studies}, must be 1 … 100000")
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}, must not be negative")
        if not 32 <= (self.matrix or 512) <= 2048:
            raise ConfigError(f"matrix is {self.matrix}, must be 32 … 2048")
        if not 0 <= self.finest_mm <= 5:
            raise ConfigError(f"finest_mm is {self.finest_mm}, must be 0 … 5")
        if self.family not in ("A", "B"):
            raise ConfigError(f"unknown family {self.family!r}; known are A, B")
        if self.anatomy != PROCEDURAL and not Path(self.anatomy).is_dir():
            raise ConfigError(f"anatomy {self.anatomy!r} is neither {PROCEDURAL!r} nor a folder of meshes")
        least, greatest = self.severities
        if not 1 <= least <= greatest <= 5:
            raise ConfigError(f"severities is {least}-{greatest}, must be a range within 1-5")
        for text in self._asked():
            _parsed(text)

    def document(self) -> dict[str, Any]:
        """Return the plan as plain JSON values; of an anatomy folder only the name."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return values | {"anatomy": Path(self.anatomy).name}

    def name(self, number: int) -> str:
        """Return the name of a study, 0 being the first."""
        return f"phantom-{self.seed}-{number:05d}"

    def spec(self, number: int) -> PhantomSpec:
        """Return the specification of a study: a pure function of the plan and the number."""
        field = Field.WHOLE if self._asked() else None
        spec = sample_spec(self._rng(number, 0), anatomy=self.anatomy, family=self.family, field=field)
        fractures = self._fractures(number, spec.coverage)
        person = with_mimics(with_variants(spec)) if self.unusual else spec
        return replace(person, scanner=self._sized(spec.scanner), fractures=fractures)

    def storage(self, number: int) -> Storage:
        """Return how the DICOM files of a study are written, as varied as in a hospital."""
        rng = self._rng(number, 1)
        stored = list(StoredAs)[int(rng.integers(len(StoredAs)))]
        vendor = list(Vendor)[int(rng.integers(len(Vendor)))]
        return Storage((stored,), vendor, Numbering(first=int(rng.integers(0, 3)), backward=bool(rng.integers(2))))

    def _asked(self) -> tuple[str, ...]:
        return () if self.fractures in (SAMPLED, NO_FRACTURES) else self.fractures

    def _fractures(self, number: int, coverage: Coverage) -> tuple[Fracture, ...]:
        rng = self._rng(number, 2)
        if self.fractures == SAMPLED:
            view = {"top": coverage.top, "bottom": coverage.bottom}
            return sample_fractures(rng, family=self.family, mix=self._mix(), **view)
        return tuple(self._asked_fracture(text, rng) for text in self._asked())

    def _mix(self) -> FractureMix:
        usual, (least, greatest) = FractureMix(), self.severities
        odds = (share if least <= k <= greatest else 0.0 for k, share in enumerate(usual.severity, start=1))
        return replace(usual, severity=tuple(odds))

    def _asked_fracture(self, text: str, rng: np.random.Generator) -> Fracture:
        place, severity = _parsed(text)
        kind, level = parse_fracture(place)
        least, greatest = self.severities
        drawn = int(rng.integers(least, greatest + 1))
        return Fracture(kind, level, severity or drawn, self.family, int(rng.integers(2**31)))

    def _sized(self, scanner: Scanner) -> Scanner:
        columns, finest = _SCALED[self.size]
        spacing = max(finest, self.finest_mm, scanner.spacing_mm)
        rows, width = (round(n * columns / _USUAL_COLUMNS) for n in scanner.matrix)
        matrix = (rows, width) if self.matrix is None else (self.matrix, self.matrix)
        return replace(scanner, matrix=matrix, spacing_mm=spacing, thickness_mm=max(spacing, scanner.thickness_mm))

    def _rng(self, number: int, stream: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(number, stream)))


def _parsed(text: str) -> tuple[str, int | None]:
    """Return ``TYPE@LEVEL`` and the severity, if one is given; refuse what does not exist."""
    place, colon, severity = text.partition(":")
    if colon and severity not in _SEVERITIES:
        raise ConfigError(f"{text!r}: severity is {severity!r}, must be 1 … 5")
    parse_fracture(place)
    return place, int(severity) if colon else None
