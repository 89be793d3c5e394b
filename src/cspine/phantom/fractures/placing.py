"""Fractures in the bones of one person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cspine.domain import ConfigError
from cspine.phantom.fractures.alignment import Carried
from cspine.phantom.fractures.breaks import Breaks, Fragment
from cspine.phantom.fractures.broken import BrokenBone
from cspine.phantom.fractures.fracture import Fracture
from cspine.phantom.fractures.motion import part_of
from cspine.phantom.fractures.planning import bone_name, plan_fracture
from cspine.phantom.fractures.recipe import Plan
from cspine.phantom.fractures.surfaces import Places
from cspine.phantom.fractures.swelling import Swelling
from cspine.phantom.skeleton import Bone, PlacedBone, Skeleton, mean_scale

_SHELL_STEP_MM = 1.3
_SHELL_DEPTH_MM = 1.5
_MOST_ENTERED_MM = 0.6  # how far a fragment may be pushed into another bone
_SHARES = (1.0, 0.8, 0.6, 0.4, 0.2)


@dataclass(frozen=True, eq=False)
class PlannedFracture:
    """A fracture of a bone that has no place in a body yet.

    Attributes
    ----------
    bone
        Its name.
    """

    fracture: Fracture
    bone: str
    plan: Plan

    @property
    def carried(self) -> Carried | None:
        """What it does to the spine above, or ``None``."""
        if self.plan.carried is None:
            return None
        return Carried(self.fracture.vertebra, self.plan.carries_itself, self.plan.carried)


@dataclass(frozen=True, eq=False)
class PlacedFracture:
    """A fracture in the bone that it breaks.

    Attributes
    ----------
    bone
        The unbroken bone.
    swelling
        In front of it, or ``None``.
    """

    fracture: Fracture
    bone: PlacedBone
    breaks: Breaks
    swelling: Swelling | None = None

    @property
    def broken(self) -> PlacedBone:
        """The bone with this fracture alone."""
        return replace(self.bone, bone=BrokenBone(self.bone.bone, self.breaks))


def plan_fractures(bones: Mapping[str, Bone], fractures: Sequence[Fracture]) -> tuple[PlannedFracture, ...]:
    """Plan the breaks of bones by name, each in its own frame.

    Raises
    ------
    ConfigError
        The anatomy has no such bone.
    """
    planned = []
    for fracture in fractures:
        name = bone_name(fracture)
        if name not in bones:
            raise ConfigError(f"{fracture.name}: this anatomy has no bone {name!r}; break another one")
        planned.append(PlannedFracture(fracture, name, plan_fracture(fracture, bones[name])))
    return tuple(planned)


def place_fractures(skeleton: Skeleton, planned: Sequence[PlannedFracture]) -> tuple[PlacedFracture, ...]:
    """Put planned fractures into the bones of a skeleton; fragments that would enter other bones move less."""
    by_name = {placed.bone.name: placed for placed in skeleton.bones}
    placed = []
    for one in planned:
        bone, breaks = by_name[one.bone], one.plan.breaks
        if one.plan.carried is None and any(piece.is_moved for piece in breaks.fragments):
            others = [p for p in skeleton.bones if p is not bone and _is_beside(bone, p)]
            breaks = replace(breaks, fragments=tuple(_held_back(piece, bone, others) for piece in breaks.fragments))
        front, thick = one.plan.front_mm, one.plan.swelling_mm
        swelling = Swelling(bone.to_body, front, thick) if front is not None and thick > 0 else None
        placed.append(PlacedFracture(one.fracture, bone, breaks, swelling))
    return tuple(placed)


def broken_bones(bones: Sequence[PlacedBone], fractures: Sequence[PlacedFracture]) -> tuple[PlacedBone, ...]:
    """Return the bones with all breaks of each in it; bones that are whole are the same objects."""
    by_bone: dict[int, list[Breaks]] = {}
    for placed in fractures:
        by_bone.setdefault(id(placed.bone), []).append(placed.breaks)
    return tuple(
        replace(bone, bone=BrokenBone(bone.bone, Breaks.joined(by_bone[id(bone)]))) if id(bone) in by_bone else bone
        for bone in bones
    )


def _is_beside(bone: PlacedBone, other: PlacedBone) -> bool:
    """Return whether a fragment of a bone could reach another bone."""
    one, two = bone.bone.vertebra, other.bone.vertebra
    if one is not None and two is not None:
        return abs(one - two) == 1
    return other.bone.name == "skull-base" and one is not None and one <= 2


def _held_back(piece: Fragment, bone: PlacedBone, others: Sequence[PlacedBone]) -> Fragment:
    """Return the fragment with as much of its move as keeps it out of other bones."""
    if not piece.is_moved or not others:
        return piece
    points = _shell_of(piece, bone.bone)
    if not len(points):
        return piece
    at_rest = _clearance(points, np.eye(4), bone, others)
    for share in _SHARES:
        move = part_of(piece.move, share)
        if _clearance(points, move, bone, others) > min(at_rest, 0.0) - _MOST_ENTERED_MM:
            return Fragment(piece.faces, move)
    return Fragment(piece.faces)


def _shell_of(piece: Fragment, bone: Bone) -> np.ndarray:
    """Return points (N, 3) of a fragment just below the surface of its bone."""
    low, high = bone.bounds_mm
    axes = [np.arange(a, b + _SHELL_STEP_MM, _SHELL_STEP_MM) for a, b in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.float32)
    distance = bone.distance_mm(points)
    points = points[(distance < 0) & (distance > -_SHELL_DEPTH_MM)]
    shell: np.ndarray = points[piece.region_mm(Places(points)) < 0]
    return shell


def _clearance(points: np.ndarray, move: np.ndarray, bone: PlacedBone, others: Sequence[PlacedBone]) -> float:
    """Return the least distance in body mm from moved points of one bone to the other bones."""
    body = bone.to_body @ move
    places = points @ body[:3, :3].T + body[:3, 3]
    least = np.inf
    for other in others:
        to_own = np.linalg.inv(other.to_body)
        own = (places @ to_own[:3, :3].T + to_own[:3, 3]).astype(np.float32)
        least = min(least, float(other.bone.distance_mm(own).min()) * mean_scale(other))
    return least


__all__ = ["PlacedFracture", "PlannedFracture", "broken_bones", "place_fractures", "plan_fractures"]
