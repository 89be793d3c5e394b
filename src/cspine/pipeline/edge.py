"""What the ends of a scan allow: how much of a vertebra can be in view, and which one is a neighbor seen twice.

The per-vertebra network completes what the edge of a scan cuts off. Where it fails to, anatomy still says that a C2
whose body lies in the first slices cannot be there with its dens.
"""

from dataclasses import dataclass, replace

import numpy as np

from cspine.domain import Grid, Vertebra
from cspine.pipeline.refine import RefinedVertebra


@dataclass(frozen=True)
class Reach:
    """How far a vertebra reaches above and below its center along the slice axis, mm.

    Measured on the masks of 19 phantoms (procedural and ArtiSynth anatomy, 11 to 16 of each vertebra, any posture).

    Attributes
    ----------
    least
        Less than in any of them.
    usual
        Their median.
    """

    least: tuple[float, float]
    usual: tuple[float, float]


REACH = {
    Vertebra.C1: Reach((4.5, 8.0), (10.0, 15.0)),
    Vertebra.C2: Reach((17.0, 7.0), (26.0, 18.0)),
    Vertebra.C3: Reach((7.0, 4.5), (12.0, 12.0)),
    Vertebra.C4: Reach((7.0, 4.5), (13.0, 11.0)),
    Vertebra.C5: Reach((7.0, 4.5), (13.0, 11.0)),
    Vertebra.C6: Reach((7.0, 4.5), (14.0, 11.0)),
    Vertebra.C7: Reach((7.0, 4.5), (15.0, 11.0)),
    Vertebra.T1: Reach((7.0, 4.5), (18.0, 10.0)),
}


def most_in_view(vertebra: Vertebra, center_lps_mm: np.ndarray, field: Grid) -> float:
    """Return the largest share, 0 … 1, of a vertebra that a scan can show when its center lies there.

    1 unless an end of the canonical grid `field` is nearer to the center than any such vertebra reaches; then the share
    of its usual height.
    """
    step, at = field.spacing_mm[0], float(field.to_index(center_lps_mm)[0])
    room = (at + 0.5) * step, (field.shape[0] - 0.5 - at) * step
    reach = REACH[vertebra]
    if all(have >= least for have, least in zip(room, reach.least, strict=True)):
        return 1.0
    shown = sum(min(have, usual) for have, usual in zip(room, reach.usual, strict=True))
    return float(np.clip(shown / sum(reach.usual), 0.0, 1.0))


def held_by_edges(refined: list[RefinedVertebra], field: Grid, same_place_mm: float) -> list[RefinedVertebra]:
    """Return the vertebrae with no more in view than their place allows, without a neighbor that is seen twice.

    A network that completes what is cut off may find the last vertebra of a scan again beyond its end, under the next
    name: two centers nearer to each other than any two vertebrae, one of them outside the scan. That one is left out.
    """
    kept = []
    for one in refined:
        most = most_in_view(one.vertebra, one.center_lps_mm, field)
        if _outside(one, field) and any(
            np.linalg.norm(one.center_lps_mm - other.center_lps_mm) < same_place_mm
            for other in refined
            if other is not one and not _outside(other, field)
        ):
            continue
        kept.append(replace(one, visible_fraction=min(one.visible_fraction, most)))
    return kept


def _outside(one: RefinedVertebra, field: Grid) -> bool:
    """Whether a center lies beyond the first or last slice."""
    at = float(field.to_index(one.center_lps_mm)[0])
    return not -0.5 <= at <= field.shape[0] - 0.5
