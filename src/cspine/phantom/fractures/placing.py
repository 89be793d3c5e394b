"""Fractures in the bones of one person."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cspine.domain import ConfigError
from cspine.phantom.fractures.breaks import Breaks
from cspine.phantom.fractures.broken import BrokenBone
from cspine.phantom.fractures.fracture import Fracture
from cspine.phantom.fractures.planning import Plan, bone_name, plan_fracture
from cspine.phantom.skeleton import PlacedBone, Skeleton


@dataclass(frozen=True, eq=False)
class PlacedFracture:
    """A fracture in the bone that it breaks.

    Attributes
    ----------
    bone
        The unbroken bone.
    """

    fracture: Fracture
    bone: PlacedBone
    plan: Plan

    @property
    def broken(self) -> PlacedBone:
        """The bone with this fracture alone."""
        return replace(self.bone, bone=BrokenBone(self.bone.bone, self.plan.breaks))


def place_fractures(skeleton: Skeleton, fractures: Sequence[Fracture]) -> tuple[PlacedFracture, ...]:
    """Find the bones and plan the breaks.

    Raises
    ------
    ConfigError
        The anatomy has no such bone.
    """
    by_name = {placed.bone.name: placed for placed in skeleton.bones}
    placed = []
    for fracture in fractures:
        name = bone_name(fracture)
        if name not in by_name:
            raise ConfigError(f"{fracture.name}: this anatomy has no bone {name!r}; break another one")
        bone = by_name[name]
        placed.append(PlacedFracture(fracture, bone, plan_fracture(fracture, bone.bone)))
    return tuple(placed)


def broken_bones(bones: Sequence[PlacedBone], fractures: Sequence[PlacedFracture]) -> tuple[PlacedBone, ...]:
    """Return the bones with all breaks of each in it; bones that are whole are the same objects."""
    by_bone: dict[int, list[Breaks]] = {}
    for placed in fractures:
        by_bone.setdefault(id(placed.bone), []).append(placed.plan.breaks)
    return tuple(
        replace(bone, bone=BrokenBone(bone.bone, Breaks.joined(by_bone[id(bone)]))) if id(bone) in by_bone else bone
        for bone in bones
    )


__all__ = ["PlacedFracture", "broken_bones", "place_fractures"]
