"""Vertebra crops for training, made in memory without a whole scan.

One person is grown and one region, C1 … C7, is painted once; then it is scanned many times, each time with another
scanner, dose and place in the image, and every scan gives one crop of each level. What must never train is refused
before the first crop.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from cspine.domain import CERVICAL, Box, ConfigError, FractureTruth, Grid, LabelMap, Vertebra, Volume, resample
from cspine.phantom.anatomy import PROCEDURAL, is_evaluation_only
from cspine.phantom.case import around_grid, make_subject
from cspine.phantom.fractures import FractureMix, sample_fractures
from cspine.phantom.fractures.truth import fracture_truth
from cspine.phantom.render import render_hu, render_labels
from cspine.phantom.scanner import Scanner, native_grid, sample_scanner, scan
from cspine.phantom.spec import (
    Field,
    PhantomSpec,
    check_training_allowed,
    sample_spec,
    with_mimics,
    with_variants,
)
from cspine.phantom.subject import Subject

_FINEST_MM = 0.5
_BEYOND_MM = 6.0  # the painted region reaches beyond the crops, for blur
_FINER = 0.8  # pixels and steps relative to those of the crops: finer ones would only be averaged away


@dataclass(frozen=True)
class CropPlan:
    """Which crops are drawn.

    Attributes
    ----------
    shape
        (slice, row, column) of every crop.
    spacing_mm
        Along the same axes.
    anatomies
        ``"procedural"`` and folders of meshes, one drawn for each person.
    scans
        Scans of each person; more are faster and less varied.
    jitter
        Most voxels, along each axis, by which a crop is off its vertebra.
    back_mm, ring_back_mm
        The middle of a crop lies that far behind the center of the vertebra; for C1, of its ring.
    dens_mm
        The middle of a crop of C2 lies that far above its center.
    mix
        How often what breaks.

    Raises
    ------
    ConfigError
        An anatomy is for evaluation only, or a number is impossible.
    """

    shape: tuple[int, int, int] = (56, 96, 112)
    spacing_mm: tuple[float, float, float] = (1.0, 0.75, 0.75)
    anatomies: tuple[str, ...] = (PROCEDURAL,)
    scans: int = 24
    jitter: int = 4
    back_mm: float = 14.0
    ring_back_mm: float = 2.0
    dens_mm: float = 6.0
    mix: FractureMix = field(default_factory=lambda: FractureMix(study=0.7))

    def __post_init__(self) -> None:
        for anatomy in self.anatomies:
            if is_evaluation_only(anatomy):
                raise ConfigError(f"crops: anatomy {anatomy!r} is for evaluation only and must not train")
        limits = (
            ("anatomies", len(self.anatomies), 1, 1000),
            ("smallest shape", min(self.shape), 8, 512),
            ("smallest spacing_mm", min(self.spacing_mm), 0.2, 5),
            ("largest spacing_mm", max(self.spacing_mm), 0.2, 5),
            ("scans", self.scans, 1, 1000),
            ("jitter", self.jitter, 0, 50),
        )
        for name, value, low, high in limits:
            if not low <= value <= high:
                raise ConfigError(f"crops: {name} is {value}, must be {low} … {high}")


@dataclass(frozen=True, eq=False)
class VertebraCrop:
    """One vertebra of one scan, and what is true of it.

    Attributes
    ----------
    volume
        HU, int16.
    labels
        Every vertebra in the crop, by its value.
    fractures
        Value k where ``truths[k - 1]`` is, of all vertebrae in the crop; healed fractures are not marked.
    truths
        All fractures of the person; those without a voxel here are not in the crop.
    spec
        The person and the scanner.
    """

    vertebra: Vertebra
    volume: Volume
    labels: LabelMap
    fractures: LabelMap
    truths: tuple[FractureTruth, ...]
    spec: PhantomSpec

    @property
    def is_fractured(self) -> bool:
        """Whether this vertebra has a fracture that counts."""
        return any(truth.vertebra == self.vertebra for truth in self.truths)


def sample_crops(plan: CropPlan, rng: np.random.Generator) -> Iterator[VertebraCrop]:
    """Draw crops without end; the same for the same plan and generator state.

    The crops of one scan follow each other in random order; whoever trains should mix several iterators.
    """
    while True:
        anatomy = plan.anatomies[int(rng.integers(len(plan.anatomies)))]
        spec = sample_spec(rng, anatomy=anatomy, field=Field.WHOLE)
        # Mimics that are a matter of the scanner, such as a step of motion, are not in crops.
        spec = with_mimics(with_variants(replace(spec, fractures=sample_fractures(rng, mix=plan.mix))))
        yield from crops_of(spec, plan, rng)


def crops_of(spec: PhantomSpec, plan: CropPlan, rng: np.random.Generator) -> Iterator[VertebraCrop]:
    """Draw all crops of one person.

    Raises
    ------
    ConfigError
        The person must not train.
    """
    check_training_allowed(spec)
    region = _Region(make_subject(spec), plan)
    for _ in range(plan.scans):
        scanner = _scanner(rng, plan)
        volume = region.scanned(scanner, rng)
        for level in rng.permutation(len(CERVICAL)):
            yield region.crop(CERVICAL[int(level)], volume, replace(spec, scanner=scanner), rng)


def _scanner(rng: np.random.Generator, plan: CropPlan) -> Scanner:
    """Draw a scanner of family A without tilt and padding, no finer than the crops need."""
    drawn = sample_scanner(rng, "A")
    spacing = max(drawn.spacing_mm, _FINER * plan.spacing_mm[0])
    return replace(
        drawn, spacing_mm=spacing, thickness_mm=max(drawn.thickness_mm, spacing), tilt_deg=0.0, circle_mm=2000.0
    )


class _Region:
    """One person from C1 to C7, painted once."""

    def __init__(self, subject: Subject, plan: CropPlan) -> None:
        self._subject, self._plan = subject, plan
        seen = np.array([self._middle(v) for v in CERVICAL])
        spacing = np.array(plan.spacing_mm)
        half = (np.array(plan.shape) / 2 + plan.jitter) * spacing + _BEYOND_MM
        self._low, self._high = seen.min(axis=0) - half[::-1], seen.max(axis=0) + half[::-1]
        step = tuple(float(s) for s in np.maximum(_FINEST_MM, _FINER * spacing))
        x, y, z = (int(n) for n in np.ceil((self._high - self._low) / np.array(step)[::-1]))
        corner = (float(self._low[0]), float(self._low[1]), float(self._high[2]))
        self._grid = Grid.from_axes((z, y, x), (step[0], step[1], step[2]), corner)
        self._hu = render_hu(subject, self._grid, threads=1)
        self._around = self._whole_body()
        self._truths: dict[Vertebra, tuple[LabelMap, LabelMap]] = {}

    def _middle(self, vertebra: Vertebra) -> np.ndarray:
        """Return where the middle of a crop without jitter lies, LPS mm."""
        plan = self._plan
        back = plan.ring_back_mm if vertebra is Vertebra.C1 else plan.back_mm
        up = plan.dens_mm if vertebra is Vertebra.C2 else 0.0
        return np.asarray(np.array(self._subject.centers_lps_mm[vertebra]) + np.array([0.0, back, up]))

    def _whole_body(self) -> Volume:
        around = around_grid(self._subject, self._grid)
        return Volume(around, render_hu(self._subject, around, threads=1))

    @cached_property
    def _fractures(self) -> tuple[FractureTruth, ...]:
        _, truths = fracture_truth(self._subject.fractures, self._grid, self._subject.warp)
        return truths

    def scanned(self, scanner: Scanner, rng: np.random.Generator) -> Volume:
        """Scan the region, on pixels that are no finer than the crops need."""
        size = self._high - self._low
        pixel = max(scanner.pixel_mm[0], _FINER * min(self._plan.spacing_mm[1:]))
        columns, rows = (int(n) for n in np.ceil(size[:2] / pixel))
        x, y, z = ((self._low + self._high) / 2).tolist()
        small = replace(scanner, field_of_view_mm=columns * pixel, matrix=(rows, columns))
        first = float(self._high[2] - rng.uniform(0, 1) * scanner.spacing_mm)
        grid = native_grid(small, (x, y, z), first, float(self._low[2]))
        return scan(self._hu, self._grid, small, rng, target=grid, whole_body=self._around, threads=1)

    def crop(self, vertebra: Vertebra, volume: Volume, spec: PhantomSpec, rng: np.random.Generator) -> VertebraCrop:
        """Cut a vertebra out of a scan, a few voxels off its middle."""
        jitter = self._plan.jitter
        shift = rng.integers(0, 2 * jitter + 1, 3)
        start = (int(shift[0]), int(shift[1]), int(shift[2]))
        stop = tuple(a + n for a, n in zip(start, self._plan.shape, strict=True))
        box = Box(start, (stop[0], stop[1], stop[2]))
        labels, fractures = self._truth(vertebra)
        grid = labels.grid.crop(box)
        hu = resample(volume.hu, volume.grid, grid, fill=-1000.0, threads=1)
        return VertebraCrop(
            vertebra,
            Volume(grid, np.rint(hu).astype(np.int16)),
            LabelMap(grid, labels.labels[box.slices]),
            LabelMap(grid, fractures.labels[box.slices]),
            self._fractures,
            spec,
        )

    def _truth(self, vertebra: Vertebra) -> tuple[LabelMap, LabelMap]:
        """Return labels and fractures round a vertebra, with room for the jitter; painted once."""
        if vertebra not in self._truths:
            plan = self._plan
            shape = np.array(plan.shape) + 2 * plan.jitter
            x, y, z = self._middle(vertebra)
            half = (shape - 1) / 2 * np.array(plan.spacing_mm)
            corner = (x - half[2], y - half[1], z + half[0])
            grid = Grid.from_axes((int(shape[0]), int(shape[1]), int(shape[2])), plan.spacing_mm, corner)
            fractures, _ = fracture_truth(self._subject.fractures, grid, self._subject.warp)
            self._truths[vertebra] = render_labels(self._subject, grid, threads=1), fractures
        return self._truths[vertebra]


__all__ = ["CropPlan", "VertebraCrop", "crops_of", "sample_crops"]
