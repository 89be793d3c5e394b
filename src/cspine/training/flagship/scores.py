"""What networks say of studies that they have not seen, kept in a file: scores of all, maps of some."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cspine.domain import Grid, Vertebra, WorldBox
from cspine.pipeline import JudgedVertebra
from cspine.workflow import TunedStudy

_PARTS = ("map", "own", "others", "types", "mimics")


def save_scores(studies: Mapping[str, TunedStudy], path: Path) -> None:
    """Write the scores of a fold; maps as float16."""
    arrays: dict[str, np.ndarray] = {"uids": np.array(list(studies))}
    for uid, study in studies.items():
        arrays[f"{uid}/labels"], arrays[f"{uid}/logits"] = study.labels, study.logits
        if study.boxes is None:
            continue
        corners = [[int(v), *box.min_lps_mm, *box.max_lps_mm] for v, of in study.boxes.items() for box in of]
        arrays[f"{uid}/boxes"] = np.array(corners, dtype=np.float64).reshape(-1, 7)
        for one in study.judged:
            name = f"{uid}/{one.vertebra.name}"
            arrays |= {f"{name}/{part}": np.asarray(getattr(one, part), dtype=np.float16) for part in _PARTS}
            arrays[f"{name}/affine"], arrays[f"{name}/logit"] = one.grid.affine, np.array(one.logit)
    partial = path.with_suffix(".partial.npz")
    np.savez_compressed(partial, **arrays)  # type: ignore[arg-type]  # names are not numpy's own
    partial.rename(path)


def load_scores(path: Path) -> dict[str, TunedStudy]:
    """Read what `save_scores` wrote."""
    with np.load(path) as arrays:
        return {str(uid): _study(arrays, str(uid)) for uid in arrays["uids"]}


def _study(arrays: Mapping[str, np.ndarray], uid: str) -> TunedStudy:
    labels, logits = arrays[f"{uid}/labels"], arrays[f"{uid}/logits"]
    if f"{uid}/boxes" not in arrays:
        return TunedStudy(labels, logits, (), None)
    boxes: dict[Vertebra, tuple[WorldBox, ...]] = {}
    for value, *corners in arrays[f"{uid}/boxes"].tolist():
        a, b, c, d, e, f = corners
        level = Vertebra(int(value))
        boxes[level] = (*boxes.get(level, ()), WorldBox((a, b, c), (d, e, f)))
    judged = tuple(_judged(arrays, uid, v) for v in Vertebra if f"{uid}/{v.name}/map" in arrays)
    return TunedStudy(labels, logits, judged, boxes)


def _judged(arrays: Mapping[str, np.ndarray], uid: str, vertebra: Vertebra) -> JudgedVertebra:
    name = f"{uid}/{vertebra.name}"
    broken, own, others, types, mimics = (arrays[f"{name}/{part}"].astype(np.float32) for part in _PARTS)
    shape = (broken.shape[0], broken.shape[1], broken.shape[2])
    grid = Grid(shape, arrays[f"{name}/affine"])
    return JudgedVertebra(vertebra, float(arrays[f"{name}/logit"]), grid, broken, own, others, types, mimics)


__all__ = ["load_scores", "save_scores"]
