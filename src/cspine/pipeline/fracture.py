"""The fracture stage: one crop for each vertebra in, one map and one judgment out."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from scipy.special import expit

from cspine.domain import Grid, LabelMap, Vertebra, Volume
from cspine.pipeline.preprocess import fracture_grid, fracture_input, map_grid
from cspine.pipeline.refine import RefinedVertebra
from cspine.pipeline.spec import FractureSpec, PipelineSpec, RefineSpec
from cspine.pipeline.unlike import CropLook, look_at

BATCH = 2


class Member(Protocol):
    """A fracture network that is ready to run, such as `cspine.models.Session`."""

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return ``map`` (N, 1, D, H, W) and ``heads`` (N, outputs), logits, of ``crop`` (N, 3, D, H, W)."""
        ...


@dataclass(frozen=True, eq=False)
class JudgedVertebra:
    """What the fracture network says of one vertebra.

    Attributes
    ----------
    logit
        Of a fracture, before calibration.
    grid, map
        Probability that a voxel shows a break of any bone in the crop, float32, and where.
    own
        Share of each map voxel that belongs to the vertebra's own outline, softened as the network saw it.
    others
        The same of all other vertebrae.
    types, mimics
        Probabilities by class, float64, in the order of the manifest's labels.
    look
        Noise, tissue and metal of the crop.
    """

    vertebra: Vertebra
    logit: float
    grid: Grid
    map: np.ndarray
    own: np.ndarray
    others: np.ndarray
    types: np.ndarray
    mimics: np.ndarray
    look: CropLook = field(default_factory=CropLook)


def judge(
    volume: Volume,
    labels: LabelMap,
    refined: list[RefinedVertebra],
    members: Sequence[Member],
    spec: PipelineSpec,
    *,
    threads: int,
) -> list[JudgedVertebra]:
    """Ask the fracture networks about every cervical vertebra that is in view.

    Parameters
    ----------
    volume, labels
        Canonical, on one grid.
    """
    fracture = spec.fracture
    assert fracture is not None
    wanted = [r for r in refined if is_judged(r, spec.refine)]
    grids = [fracture_grid(r.center_lps_mm, r.vertebra, volume.grid, fracture) for r in wanted]
    judged: list[JudgedVertebra] = []
    with ThreadPoolExecutor(threads) as pool:
        crops = list(
            pool.map(
                lambda r, g: fracture_input(volume, labels, g, r.vertebra, (spec.intensity, fracture)), wanted, grids
            )
        )
        looks = list(pool.map(lambda c, g: look_at(c, volume, g, (spec.intensity, spec.unlike)), crops, grids))
        for start in range(0, len(wanted), BATCH):
            part = slice(start, start + BATCH)
            maps, heads_of = answer(members, np.stack(crops[part]), mirrored=fracture.mirrored)
            for seen, grid, crop, broken, heads in zip(
                wanted[part], grids[part], crops[part], maps, heads_of, strict=True
            ):
                known = heads
                if seen.vertebra.name in spec.second_look.levels:
                    known = _mean([heads, *_second_look(volume, labels, seen, members, spec)])
                judged.append(_read(seen.vertebra, grid, crop, (broken[0], known), fracture))
    return [replace(one, look=look) for one, look in zip(judged, looks, strict=True)]


def _second_look(
    volume: Volume, labels: LabelMap, seen: RefinedVertebra, members: Sequence[Member], spec: PipelineSpec
) -> np.ndarray:
    """Return the head logits (2, outputs) of two crops that lie a part of a voxel to either side."""
    fracture = spec.fracture
    assert fracture is not None
    move = spec.second_look.shift * np.array(fracture.spacing_mm) @ volume.grid.directions
    centers = (seen.center_lps_mm + move, seen.center_lps_mm - move)
    grids = [fracture_grid(center, seen.vertebra, volume.grid, fracture) for center in centers]
    crops = [fracture_input(volume, labels, grid, seen.vertebra, (spec.intensity, fracture)) for grid in grids]
    return answer(members, np.stack(crops), mirrored=fracture.mirrored)[1]


def answer(members: Sequence[Member], crops: np.ndarray, *, mirrored: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean logits of all members: maps (N, 1, D, H, W) and heads (N, outputs)."""
    answers = []
    for turned in (False, True) if mirrored else (False,):
        given = np.ascontiguousarray(crops[..., ::-1]) if turned else crops
        for session in members:
            out = session.run({"crop": given})
            answers.append((out["map"][..., ::-1] if turned else out["map"], out["heads"]))
    if len(answers) == 1:
        return answers[0]
    maps, heads = zip(*answers, strict=True)
    return _mean(maps), _mean(heads)


def _mean(answers: Sequence[np.ndarray]) -> np.ndarray:
    return np.asarray(np.mean(answers, axis=0), dtype=np.float32)


def is_judged(seen: RefinedVertebra, spec: RefineSpec) -> bool:
    """Tell whether a vertebra is cervical and enough of it is in view."""
    return seen.vertebra.is_cervical and seen.visible_fraction >= spec.reported_fraction


def _read(
    vertebra: Vertebra, grid: Grid, crop: np.ndarray, out: tuple[np.ndarray, np.ndarray], spec: FractureSpec
) -> JudgedVertebra:
    broken, heads = out
    block = spec.map_block
    own, others = (_block_mean(mask, block) for mask in crop[1:])
    probabilities = expit(heads[1:].astype(np.float64))
    return JudgedVertebra(
        vertebra,
        float(heads[0]),
        map_grid(grid, spec),
        np.asarray(expit(broken), dtype=np.float32),
        own,
        others,
        probabilities[: spec.types],
        probabilities[spec.types :],
    )


def _block_mean(mask: np.ndarray, block: tuple[int, int, int]) -> np.ndarray:
    d, h, w = (n // b for n, b in zip(mask.shape, block, strict=True))
    return np.asarray(mask.reshape(d, block[0], h, block[1], w, block[2]).mean(axis=(1, 3, 5)), dtype=np.float32)
