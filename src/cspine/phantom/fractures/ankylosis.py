"""A transdiscal fracture needs a disc that is bridged by bone: it brings the ankylosis that the person lacks."""

from collections.abc import Sequence
from dataclasses import replace

from cspine.domain import Vertebra
from cspine.phantom.fractures.fracture import Fracture
from cspine.phantom.fractures.kinds import FractureType
from cspine.phantom.variants import Fusion, FusionKind, Variants

_REACH = 2  # discs above and below that are bridged as well
_ENDS = (Vertebra.C2, Vertebra.T1)


def ankylosed(variants: Variants, fractures: Sequence[Fracture]) -> Variants:
    """Return the variants with ankylosing spondylitis about every transdiscal fracture; discs fused already stay."""
    for fracture in fractures:
        if fracture.type is FractureType.TRANSDISCAL and variants.fused_below(fracture.vertebra) is None:
            variants = replace(variants, fusions=(*variants.fusions, _about(fracture.vertebra, variants)))
    return variants


def _about(upper: Vertebra, variants: Variants) -> Fusion:
    """Return the longest fusion about the disc below a vertebra that meets no other."""
    first = last = upper
    for _ in range(_REACH):
        if first > _ENDS[0] and variants.fused_below(Vertebra(first - 1)) is None:
            first = Vertebra(first - 1)
        if last + 1 < _ENDS[1] and variants.fused_below(Vertebra(last + 1)) is None:
            last = Vertebra(last + 1)
    return Fusion(FusionKind.SPONDYLITIS, first, Vertebra(last + 1))


__all__ = ["ankylosed"]
