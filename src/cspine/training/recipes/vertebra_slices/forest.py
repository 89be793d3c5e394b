"""Which levels does a slice show: a random forest on features that can be named.

The features of one slice, all from its gray values alone (nothing says where in the study it lies):

=========== ======= ===============================================================================
name        numbers what
=========== ======= ===============================================================================
gray        16      histogram of the gray values inside the body, shares
body        6       area, height, width of the body, its middle, how far its outline is from an ellipse
bone        8       share of the body that is bone, its middle and spread from the body's middle,
                    number of pieces, share of the largest, share of the bone in the front half
air         2       air inside the body: share, number of pieces (airway, sinuses, lungs)
rows        16      share of bone in 16 bands from front to back of the body
columns     16      the same from right to left
blocks      64      mean gray value of 8 × 8 blocks of the body's box
=========== ======= ===============================================================================

Legend: N slices, F features, K labels.
"""

import numpy as np
from scipy import ndimage
from sklearn.ensemble import RandomForestClassifier

from cspine.report import Window
from cspine.training.recipes.vertebra_slices.config import ForestPlan
from cspine.training.stacks import StackSet

BODY_HU, BONE_HU, AIR_HU = -300.0, 200.0, -300.0
BINS, BANDS, BLOCKS = 16, 16, 8
FEATURES = BINS + 6 + 8 + 2 + 2 * BANDS + BLOCKS**2
# A speck of so few pixels is noise.
LEAST_PIECE = 4


def slice_features(gray: np.ndarray, window: Window) -> np.ndarray:
    """Return the features of a slice, (F,) float32.

    Parameters
    ----------
    gray
        (rows, columns) uint8 of the window.
    """
    body = _body(gray, window)
    if not body.any():
        return np.zeros(FEATURES, dtype=np.float32)
    rows, columns = (np.flatnonzero(body.any(axis=1 - axis)) for axis in (0, 1))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    inside, cut = gray[top:bottom, left:right], body[top:bottom, left:right]
    bone = (inside >= _gray_of(BONE_HU, window)) & cut
    air = (inside < _gray_of(AIR_HU, window)) & cut
    values = np.bincount(inside[cut] // (256 // BINS), minlength=BINS)[:BINS] / cut.sum()
    parts = (
        values,
        _body_features(body, (top, bottom, left, right)),
        _bone_features(bone, cut),
        (air.sum() / cut.sum(), _pieces(air)[0]),
        _bands(bone, axis=0),
        _bands(bone, axis=1),
        _blocks(inside),
    )
    return np.concatenate([np.asarray(part, dtype=np.float32).ravel() for part in parts])


def features_of(stacks: StackSet, refs: np.ndarray, window: Window) -> np.ndarray:
    """Return the features of slices, (N, F)."""
    return np.stack([slice_features(np.asarray(stacks.stacks[n].pixels[k]), window) for n, k in refs.tolist()])


def train_forest(features_NF: np.ndarray, labels_NK: np.ndarray, plan: ForestPlan, seed: int) -> RandomForestClassifier:
    """Return a forest that answers all labels."""
    step = max(1, -(-len(features_NF) // plan.most_slices)) if plan.most_slices else 1
    forest = RandomForestClassifier(
        plan.trees, min_samples_leaf=plan.least_leaf, max_features="sqrt", n_jobs=1, random_state=seed
    )
    return forest.fit(features_NF[::step], labels_NK[::step].astype(int))


def forest_answers(forest: RandomForestClassifier, features_NF: np.ndarray) -> np.ndarray:
    """Return probabilities (N, K)."""
    found = forest.predict_proba(features_NF)
    classes = forest.classes_
    if not isinstance(found, list):
        found, classes = [found], [classes]
    columns = [_of_one(p, list(c)) for p, c in zip(found, classes, strict=True)]
    return np.stack(columns, axis=1).astype(np.float32)


def _of_one(probability: np.ndarray, classes: list[int]) -> np.ndarray:
    """Return the probability of 1; a label that never was positive, or always, has one column only."""
    column: np.ndarray = probability[:, classes.index(1)] if 1 in classes else np.zeros(len(probability))
    return column


def _gray_of(hu: float, window: Window) -> float:
    return float(window.gray(np.array([[hu]]))[0, 0])


def _body(gray: np.ndarray, window: Window) -> np.ndarray:
    """Return the largest thing that is no air, its holes filled: the table and the air round it are left out."""
    pieces, count = ndimage.label(ndimage.binary_opening(gray > _gray_of(BODY_HU, window), iterations=1))
    if not count:
        return np.zeros(gray.shape, dtype=bool)
    largest = 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    filled: np.ndarray = ndimage.binary_fill_holes(pieces == largest)
    return filled


def _body_features(body: np.ndarray, edges: tuple[int, int, int, int]) -> tuple[float, ...]:
    top, bottom, left, right = edges
    side = body.shape[0]
    high, wide = bottom - top, right - left
    ellipse = np.pi / 4 * high * wide
    middle = ((top + bottom) / 2 / side, (left + right) / 2 / side)
    return (body.mean(), high / side, wide / side, *middle, float(body.sum() / ellipse))


def _bone_features(bone: np.ndarray, body: np.ndarray) -> tuple[float, ...]:
    if not bone.any():
        return (0.0,) * 8
    places = np.argwhere(bone) / np.array(bone.shape)
    middle, spread = places.mean(axis=0), places.std(axis=0)
    count, largest = _pieces(bone)
    front = float((places[:, 0] < 0.5).mean())
    return (float(bone.sum() / body.sum()), *middle.tolist(), *spread.tolist(), count, largest, front)


def _pieces(mask: np.ndarray) -> tuple[float, float]:
    """Return the number of pieces, and the share of the largest."""
    labels, count = ndimage.label(mask)
    if not count:
        return 0.0, 0.0
    sizes = np.bincount(labels.ravel())[1:]
    return float((sizes >= LEAST_PIECE).sum()), float(sizes.max() / sizes.sum())


def _bands(bone: np.ndarray, axis: int) -> np.ndarray:
    shares = bone.mean(axis=1 - axis)
    return np.array([part.mean() if part.size else 0.0 for part in np.array_split(shares, BANDS)])


def _blocks(gray: np.ndarray) -> np.ndarray:
    bands = np.array_split(gray.astype(np.float32) / 255, BLOCKS, axis=0)
    cells = [cell for band in bands for cell in np.array_split(band, BLOCKS, axis=1)]
    return np.array([cell.mean() if cell.size else 0.0 for cell in cells])
