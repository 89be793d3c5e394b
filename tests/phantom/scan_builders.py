"""A vertebra in a small scan of its own: blurred, noisy, with air on one side."""

from functools import lru_cache

import numpy as np
from scipy import ndimage

from cspine.domain import Grid, LabelMap, Vertebra, Volume
from cspine.phantom import Fracture, FractureType
from cspine.phantom.render import render_labels
from tests.phantom.fracture_builders import painted, subject_with

SPACING_MM = (1.2, 1.0, 1.0)
BLUR_MM, NOISE_HU = 0.6, 9.0
_LOW, _HIGH = np.array([-40.0, -40.0, -30.0]), np.array([40.0, 48.0, 30.0])
_AIR_MM = -32.0


@lru_cache(maxsize=4)
def scan_of(level: Vertebra = Vertebra.C5, noise_hu: float = NOISE_HU) -> tuple[Volume, LabelMap]:
    """Return a scan of one whole vertebra in its own frame, and its label."""
    subject = subject_with(Fracture(FractureType.TRANSVERSE_PROCESS, level).sham)
    x, y, z = (int(n) for n in (_HIGH - _LOW) / np.array(SPACING_MM)[::-1])
    grid = Grid.from_axes((z, y, x), SPACING_MM, (float(_LOW[0]), float(_LOW[1]), float(_HIGH[2])))
    hu = painted(subject, grid)
    hu[:, : int((_AIR_MM - _LOW[1]) / SPACING_MM[1])] = -1000.0
    hu = ndimage.gaussian_filter(hu, [BLUR_MM / s for s in SPACING_MM])
    hu += np.random.default_rng(1).normal(0, noise_hu, hu.shape) if noise_hu else 0
    labels = render_labels(subject, grid, threads=1)
    return Volume(grid, np.rint(hu).astype(np.int16)), labels


def turned_scan(degrees: float) -> tuple[Volume, LabelMap]:
    """Return the scan of the same voxels, lying tilted in space: the head leans forward."""
    volume, labels = scan_of()
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    affine = np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1]]) @ volume.grid.affine
    grid = Grid(volume.grid.shape, affine)
    return Volume(grid, volume.hu), LabelMap(grid, labels.labels)
