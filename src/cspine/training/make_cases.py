"""Draw phantoms for training and store them as tissue codes, on all cores, from where an earlier run stopped."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from cspine.domain import CERVICAL, Grid, Vertebra
from cspine.phantom import (
    PROCEDURAL,
    Subject,
    TissueMap,
    check_training_allowed,
    make_subject,
    render_tissue,
    sample_spec,
)
from cspine.training.tissue_cases import CodeMap, TissueCase, encode, list_cases, save_case
from cspine.training.warp import rotation

FIELD_SPACING_MM, SPINE_SPACING_MM = 1.5, 1.0
# Half width, depth in front of and behind the mean center, and height above C1 and below the lowest center, mm.
FIELD_REACH_MM = (110.0, 105.0, 110.0, 75.0, 15.0)
SPINE_REACH_MM = (48.0, 36.0, 68.0, 30.0, 26.0)
FIELD_LOWEST, SPINE_LOWEST = Vertebra.T5, Vertebra.T1


@dataclass(frozen=True)
class CasePlan:
    """Which phantoms train.

    Attributes
    ----------
    anatomies
        ``"procedural"`` and folders of meshes, taken in turn.
    tilt_deg
        Largest turn of the whole body against the scanner, about each axis.
    postures
        Cases per person: same bones, other posture, density and body.
    """

    count: int = 100
    anatomies: tuple[str, ...] = (PROCEDURAL,)
    tilt_deg: float = 12.0
    postures: int = 4
    seed: int = 2026
    workers: int = 3


def make_cases(plan: CasePlan, root: Path) -> list[Path]:
    """Make the missing cases of a plan below `root` and return the folders of all.

    Raises
    ------
    ConfigError
        An anatomy is for evaluation only.
    """
    wanted = [root / f"case_{k:05d}" for k in range(plan.count)]
    missing = [k for k, folder in enumerate(wanted) if not (folder / "case.json").exists()]
    if missing:
        with ProcessPoolExecutor(plan.workers, mp_context=get_context("forkserver")) as pool:
            count = len(missing)
            list(pool.map(_make_one, [plan] * count, missing, [root] * count, chunksize=plan.postures))
    return list_cases(root)


def _make_one(plan: CasePlan, number: int, root: Path) -> None:
    save_case(make_tissue_case(plan, number), root / f"case_{number:05d}")


def make_tissue_case(plan: CasePlan, number: int) -> TissueCase:
    """Make one case; a pure function of the plan's seed and the number."""
    person = number // plan.postures
    spec = sample_spec(np.random.default_rng([plan.seed, person]), anatomy=plan.anatomies[person % len(plan.anatomies)])
    check_training_allowed(spec)
    rng = np.random.default_rng([plan.seed, person, number])
    again = sample_spec(rng)
    subject = make_subject(
        replace(
            spec,
            posture=again.posture,
            density=again.density,
            degeneration=again.degeneration,
            body=replace(again.body, sex=spec.body.sex),
            warp_mm=again.warp_mm,
        )
    )
    directions = _turned(rng, plan.tilt_deg)
    field = _grid(subject, directions, FIELD_LOWEST, FIELD_REACH_MM, FIELD_SPACING_MM)
    spine = _grid(subject, directions, SPINE_LOWEST, SPINE_REACH_MM, SPINE_SPACING_MM)
    low = Vertebra.T8
    centers = {v: np.array(c) for v, c in subject.centers_lps_mm.items() if v <= low}
    return TissueCase(_codes(render_tissue(subject, field)), _codes(render_tissue(subject, spine)), centers)


def _codes(tissue: TissueMap) -> CodeMap:
    return CodeMap(tissue.grid, encode(tissue.tissue, tissue.bones))


def _turned(rng: np.random.Generator, tilt_deg: float) -> np.ndarray:
    """Return canonical directions turned a little about each axis, rows as in `Grid.directions`."""
    angles = np.radians([np.clip(rng.normal(0, tilt_deg / 2), -tilt_deg, tilt_deg) for _ in range(3)])
    canonical = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    return np.asarray(canonical @ rotation(angles))


def _grid(
    subject: Subject,
    directions: np.ndarray,
    lowest: Vertebra,
    reach_mm: tuple[float, float, float, float, float],
    spacing_mm: float,
) -> Grid:
    """Return a grid along `directions` round the vertebrae from C1 down to `lowest`."""
    side, front, back, above, below = reach_mm
    centers = subject.centers_lps_mm
    seen = np.array([centers[v] for v in Vertebra if v <= lowest]) @ directions.T
    middle = np.array([centers[v] for v in CERVICAL]).mean(axis=0) @ directions.T
    low = np.array([seen[:, 0].min() - above, min(seen[:, 1].min() + 30, middle[1]) - front, middle[2] - side])
    high = np.array([seen[:, 0].max() + below, max(seen[:, 1].max() - 30, middle[1]) + back, middle[2] + side])
    if lowest is SPINE_LOWEST:
        low[1], high[1] = seen[:, 1].min() - front, seen[:, 1].max() + back
        low[2], high[2] = seen[:, 2].min() - side, seen[:, 2].max() + side
    z, y, x = (int(n) for n in np.ceil((high - low) / spacing_mm))
    origin = low @ directions
    return Grid.from_axes((z, y, x), (spacing_mm,) * 3, (origin[0], origin[1], origin[2]), directions)
