"""The order in which samples are seen: shuffled, or with classes drawn equally often.

The order of an epoch is a pure function of (labels, way, seed, epoch), so a resumed run sees what an unbroken one
would. Over- and under-sampling repeat or leave out whole images. SMOTE mixes neighbors in the space of pixels, and is
left out on purpose: see the how-to page on recipes.
"""

from collections.abc import Callable

import numpy as np

from cspine.training.names import pick

Draw = Callable[[list[np.ndarray], np.random.Generator], np.ndarray]


def epoch_order(labels_NK: np.ndarray, way: str, seed: int, epoch: int) -> np.ndarray:
    """Return sample numbers in the order of one epoch; every epoch of a run is equally long.

    Parameters
    ----------
    labels_NK
        0 and 1; samples with any positive are one class, the rest the other.
    way
        ``none``, ``over`` (the rare class repeated) or ``under`` (the frequent class thinned, anew in each epoch).

    Raises
    ------
    ConfigError
        The way is unknown.
    """
    rng = np.random.default_rng([seed, 11, epoch])
    positive = labels_NK.any(axis=1)
    classes = [c for c in (np.flatnonzero(~positive), np.flatnonzero(positive)) if c.size]
    return rng.permutation(pick(WAYS, way, "way of balancing")(classes, rng))


def _none(classes: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    return np.concatenate(classes)


def _over(classes: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    longest = max(c.size for c in classes)
    return np.concatenate([_repeated(c, longest, rng) for c in classes])


def _repeated(numbers: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    """Return every number equally often, give or take one."""
    rounds = [rng.permutation(numbers) for _ in range(-(-length // numbers.size))]
    return np.concatenate(rounds)[:length]


def _under(classes: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    shortest = min(c.size for c in classes)
    return np.concatenate([rng.permutation(c)[:shortest] for c in classes])


WAYS: dict[str, Draw] = {"none": _none, "over": _over, "under": _under}
