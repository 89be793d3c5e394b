"""One vertebra of a scan, made ready for fractures: what does not depend on the fracture is found once."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from cspine.domain import ConfigError, Grid, LabelMap, Vertebra, Volume
from cspine.phantom.fractures import Fracture, FractureType, PlacedFracture, place_fractures, plan_fractures
from cspine.phantom.fractures.table import OTHER_BONES
from cspine.phantom.insertion.look import ScanLook
from cspine.phantom.insertion.outline import Outline, outline_of
from cspine.phantom.insertion.placing import frame_of
from cspine.phantom.insertion.smooth import Signal, signal_of, soft_tissue
from cspine.phantom.insertion.solids import Solid, neighbors_of, solid_of
from cspine.phantom.skeleton import PlacedBone, Skeleton

_T = FractureType
# What these need is not the bone of one vertebra: the rest of the spine would have to move, or to be fused.
_REFUSED = {
    _T.FACET_SUBLUXATION: "the spine above would have to slide; take facet",
    _T.PILLAR_SUBLUXATION: "the spine above would have to slide; take articular-pillar",
    _T.TRANSDISCAL: "it needs an ankylosed spine; make a phantom instead",
}
_RIM_SD = 2.2  # standard deviations of the blur that a bone's rim reaches beyond its surface
_RIM_MM = (1.0, 3.0)


@dataclass(frozen=True, eq=False)
class Site:
    """A vertebra of a canonical scan.

    Attributes
    ----------
    signal, soft_hu
        HU of the box without noise; and of the soft tissue in it, also behind bone.
    """

    outline: Outline
    solid: Solid
    beside: PlacedBone
    signal: Signal
    soft_hu: np.ndarray
    look: ScanLook

    @property
    def vertebra(self) -> Vertebra:
        """Its level."""
        return self.outline.vertebra

    @property
    def grid(self) -> Grid:
        """The grid of the box."""
        return self.outline.grid

    @property
    def blur_mm(self) -> float:
        """Mean standard deviation of the scan's blur."""
        return float(np.mean(self.look.blur_mm))

    def placed(self, fracture: Fracture) -> PlacedFracture:
        """Put a fracture into the vertebra; the spine round it stays, so fragments move only as far as it lets them.

        Raises
        ------
        ConfigError
            A fracture that cannot be put into one vertebra of a scan.
        """
        check_insertable(fracture)
        bone = self.solid.placed(self.solid.bone)
        try:
            (planned,) = plan_fractures({bone.bone.name: bone.bone}, [fracture])
        except ValueError as error:
            raise ConfigError(
                f"insert {fracture.name}: the mask of {self.vertebra.name} lacks the part that would break; correct "
                "the mask or choose another type"
            ) from error
        alone = replace(planned, plan=replace(planned.plan, carried=None))
        skeleton = Skeleton((bone, self.beside), {}, 1.0)
        (placed,) = place_fractures(skeleton, [alone])
        return placed


def check_insertable(fracture: Fracture) -> None:
    """Refuse a fracture that cannot be put into one vertebra of a scan.

    Raises
    ------
    ConfigError
        Says which, and what to take instead.
    """
    if fracture.type in OTHER_BONES:
        raise ConfigError(f"insert {fracture.name}: only vertebrae are labeled; take a fracture of a vertebra")
    if fracture.type in _REFUSED:
        raise ConfigError(f"insert {fracture.name}: {_REFUSED[fracture.type]}")


def site_of(volume: Volume, labels: LabelMap, vertebra: Vertebra, look: ScanLook) -> Site:
    """Make a vertebra of a canonical volume ready.

    Raises
    ------
    ConfigError
        The vertebra is not labeled, not whole, or its mask does not look like one.
    """
    outline = outline_of(volume, labels, vertebra)
    rim = float(np.clip(_RIM_SD * np.mean(look.blur_mm[1:]), *_RIM_MM))
    solid = solid_of(outline, frame_of(outline, labels), rim)
    signal = signal_of(volume.hu[outline.box.slices], outline.grid, look)
    soft = soft_tissue(signal.hu, _soft(outline, signal, rim), outline.grid)
    return Site(outline, solid, neighbors_of(outline), signal, soft, look)


def _soft(outline: Outline, signal: Signal, rim_mm: float) -> np.ndarray:
    """Return bool: tissue that is neither bone nor within its rim nor air."""
    reach = [max(1, round(rim_mm / s)) for s in outline.grid.spacing_mm]
    size = tuple(2 * n + 1 for n in reach)
    bone = outline.own | outline.other
    near = ndimage.maximum_filter(bone, size)
    soft: np.ndarray = ~near & (signal.hu > -300)
    return soft


__all__ = ["Site", "check_insertable", "site_of"]
