"""Put bones into a posture: a chain of frames with discs between, seated joints, and no bone inside another."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom.anatomy import Anatomy, Attached, Joint
from cspine.phantom.density import BoneDensity, material_of
from cspine.phantom.discs import Discs
from cspine.phantom.features.alter import Individual, altered
from cspine.phantom.fractures.alignment import Carried, displaced
from cspine.phantom.joints import Contact, JointedBone, Neighbor
from cspine.phantom.posture import Orientations, turn
from cspine.phantom.skeleton import Bone, PlacedBone, Skeleton

SKULL_BASE = "skull-base"
USUAL = Individual()
_NARROWEST_MM = 1.6
_BLOCK_DISC_MM = 2.0
_THORACIC_STEP_MM = 20.5
_CHECKED_DOWN_TO = Vertebra.T2  # procedural neighbours below fit by construction
_ATLAS_RISE_MM = 15.5
_DENS_GAP_MM = 1.3
_FACET_GAP_MM = 1.4
_SHELL_STEP_MM = 1.3
_SHELL_DEPTH_MM = 1.5
_JOINT_GAP_MM = 1.1
_OVERLAP_LIMIT_MM = 1.6  # joints trim less than that off either bone
_OPENING_MM = 0.4
_SHOULDER = ("clavicle", "scapula", "humerus")
_STERNOCLAVICULAR_MM = (0.0, -66.0, -22.0)  # in the frame of T1
_SHOULDERS_STAY = 0.75  # part of the bend of T1 that shoulders do not follow
_USUAL_SLOPE_DEG = 14.0
_MOST_OPENINGS = 8
# Joints turn about a point below the disc, deeper in the upper neck, so that facets glide (C2/C3 … C7/T1), mm.
_PIVOT_MM = {2: 13.0, 3: 12.0, 4: 10.0, 5: 8.0, 6: 7.0, 7: 6.0}
# A joint that is too tight opens up and back, along the normal of the facets.
_OPENING_DIRECTION = np.array([0.0, 0.6, 0.8])


def assemble(
    anatomy: Anatomy,
    turns: Orientations,
    discs: Discs,
    density: BoneDensity,
    scale: float,
    *,
    individual: Individual = USUAL,
    carried: Sequence[Carried] = (),
) -> Skeleton:
    """Place every bone; C4 comes to the origin of the body frame.

    Features change bones where they stand: the posture is that of the person without them, but for blocks and for
    what fractures displace (`carried`).
    """
    chain = _Chain(anatomy, turns, discs, scale, individual.blocks)
    frames = displaced(chain.frames(), carried)
    placed = [(bone, frames[v] @ _scaling(anatomy.scales[v])) for v, bone in anatomy.vertebrae.items()]
    head = _head_frame(anatomy, turns, frames, scale)
    for item in anatomy.attached:
        frame = head if _belongs_to_head(item) else frames[item.frame]
        if item.bone.name.startswith(_SHOULDER):
            frame = _shoulder_frame(frame, scale)
        placed.append((item.bone, frame @ _scaling(item.scale)))
    gap = _JOINT_GAP_MM * scale
    changed = [(altered(bone, individual.features), to_body) for bone, to_body in placed]
    same = all(one is two for (one, _), (two, _) in zip(placed, changed, strict=True)) and not individual.contacts
    usual = None if same else _with_joints(placed, gap, {})
    jointed = _with_joints(changed, gap, individual.contacts)
    bones = [
        PlacedBone(
            bone,
            to_body,
            *material_of(bone, density),
            individual.inlays(bone.vertebra) if bone.vertebra else (),
            None if usual is None else usual[k],
        )
        for k, (bone, (_, to_body)) in enumerate(zip(jointed, changed, strict=True))
    ]
    for feature in individual.features:
        to_body = frames[feature.vertebra] @ _scaling(anatomy.scales[feature.vertebra])
        bones += [PlacedBone(piece, to_body, *material_of(piece, density)) for piece in feature.loose]
    return Skeleton(tuple(bones), frames, scale)


def _with_joints(
    placed: list[tuple[Bone, np.ndarray]], gap_mm: float, contacts: dict[int, tuple[Contact, ...]]
) -> list[Bone]:
    """Let neighbouring vertebrae, and C1 and the skull, keep a joint space or meet as their contacts say."""
    order = {int(bone.vertebra or 0): k for k, (bone, _) in enumerate(placed) if _in_column(bone)}
    jointed: list[Bone] = [bone for bone, _ in placed]
    for level, k in order.items():
        bone, to_body = placed[k]
        neighbors = []
        for other in (level - 1, level + 1):
            if other not in order:
                continue
            next_door, frame = placed[order[other]]
            from_own = np.linalg.inv(frame) @ to_body
            upper = min(level, other)
            to_upper = (np.eye(4) if upper == level else from_own) if upper in contacts else None
            neighbors.append(Neighbor(next_door, from_own, _mean_scale(frame), contacts.get(upper, ()), to_upper))
        jointed[k] = JointedBone(bone, tuple(neighbors), _mean_scale(to_body), gap_mm)
    return jointed


def _in_column(bone: Bone) -> bool:
    return bone.vertebra is not None or bone.name == SKULL_BASE


def _mean_scale(to_body: np.ndarray) -> float:
    return float(np.cbrt(abs(np.linalg.det(to_body[:3, :3]))))


class _Chain:
    """Frames from C1 to T12 with each neighbour seated on the one below."""

    def __init__(
        self, anatomy: Anatomy, turns: Orientations, discs: Discs, scale: float, blocks: frozenset[Vertebra]
    ) -> None:
        self.anatomy, self.turns, self.discs, self.scale, self.blocks = anatomy, turns, discs, scale, blocks
        self.shells = {v: shell(b) * anatomy.scales[v] for v, b in anatomy.vertebrae.items() if v <= _CHECKED_DOWN_TO}

    def frames(self) -> dict[Vertebra, np.ndarray]:
        """Return rigid 4×4 frames with C4's origin at zero."""
        frames = {Vertebra.C7: self._at(Vertebra.C7, np.zeros(3))}
        for k in range(Vertebra.C6, Vertebra.C1, -1):
            frames[Vertebra(k)] = self._above(Vertebra(k), frames[Vertebra(k + 1)])
        frames[Vertebra.C1] = self._atlas(frames[Vertebra.C2])
        for k in range(Vertebra.T1, Vertebra.T12 + 1):
            frames[Vertebra(k)] = self._below(Vertebra(k), frames[Vertebra(k - 1)])
        middle = frames[Vertebra.C4][:3, 3].copy()
        for frame in frames.values():
            frame[:3, 3] -= middle
        return dict(sorted(frames.items()))

    def _at(self, vertebra: Vertebra, origin: np.ndarray) -> np.ndarray:
        frame = np.eye(4)
        frame[:3, :3] = self.turns.vertebrae[vertebra]
        frame[:3, 3] = origin
        return frame

    def _joint(self, upper: Vertebra) -> Joint:
        """Return the disc below a vertebra as this person has it, worn or not."""
        joint = self.anatomy.joints.get(upper)
        if joint is None:
            half = (_THORACIC_STEP_MM - 4.5) / 2 * self.scale
            return Joint(half, half, 4.5 * self.scale, 0.0)
        disc = joint.disc_mm * self.discs.factor - self.discs.loss_below_mm(upper)
        if upper in self.blocks:
            disc = _BLOCK_DISC_MM
        return replace(joint, disc_mm=max(_NARROWEST_MM, disc))

    def _above(self, upper: Vertebra, below: np.ndarray) -> np.ndarray:
        """Return the frame of a vertebra on top of its neighbour, opened until they do not overlap."""
        lower, joint = Vertebra(upper + 1), self._joint(upper)
        axis = self.turns.vertebrae[upper]
        middle = (axis + below[:3, :3]) / 2
        disc = below[:3, 3] + below[:3, 2] * joint.up_mm - middle[:, 1] * joint.back_mm
        pivot = _PIVOT_MM.get(int(upper), 0.0) * self.scale
        disc += (axis[:, 2] - below[:3, 2]) * pivot
        frame = self._at(upper, disc + middle[:, 2] * joint.disc_mm + axis[:, 2] * joint.down_mm)
        for _ in range(_MOST_OPENINGS):
            if self._overlap(upper, frame, lower, below) < _OVERLAP_LIMIT_MM:
                break
            frame[:3, 3] += middle @ _OPENING_DIRECTION * _OPENING_MM
        return frame

    def _below(self, lower: Vertebra, above: np.ndarray) -> np.ndarray:
        """Return the frame of a vertebra hung below its neighbour."""
        upper = Vertebra(lower - 1)
        joint = self._joint(upper)
        axis = self.turns.vertebrae[lower]
        middle = (axis + above[:3, :3]) / 2
        disc = above[:3, 3] - above[:3, 2] * joint.down_mm + middle[:, 1] * joint.back_mm
        disc -= (above[:3, 2] - axis[:, 2]) * _PIVOT_MM.get(int(upper), 0.0) * self.scale
        frame = self._at(lower, disc - middle[:, 2] * joint.disc_mm - axis[:, 2] * joint.up_mm)
        for _ in range(_MOST_OPENINGS):
            if self._overlap(upper, above, lower, frame) < _OVERLAP_LIMIT_MM:
                break
            frame[:3, 3] -= middle @ _OPENING_DIRECTION * _OPENING_MM
        return frame

    def _overlap(self, one: Vertebra, one_frame: np.ndarray, two: Vertebra, two_frame: np.ndarray) -> float:
        if one not in self.shells or two not in self.shells or min(one, two) in self.blocks:
            return 0.0
        distance = self._gaps(self.shells[one], one_frame, two, two_frame)
        # A shell point lies up to its depth below its own surface.
        return float(max(0.0, -distance.min()))

    def _gaps(self, points: np.ndarray, frame: np.ndarray, other: Vertebra, other_frame: np.ndarray) -> np.ndarray:
        """Return distances of points in one frame to the bone of another vertebra, mm."""
        relative = np.linalg.inv(other_frame) @ frame
        return gaps(points, relative, self.anatomy.vertebrae[other], self.anatomy.scales[other])

    def _atlas(self, axis_frame: np.ndarray) -> np.ndarray:
        """Return the frame of C1 with its arch in front of the dens and its masses on those of C2."""
        atlas, axis = self.anatomy.vertebrae[Vertebra.C1], self.anatomy.vertebrae[Vertebra.C2]
        relative = np.eye(4)
        relative[:3, :3] = axis_frame[:3, :3].T @ self.turns.vertebrae[Vertebra.C1]
        relative[2, 3] = _ATLAS_RISE_MM * self.scale
        back_of_arch = _first_bone(atlas, np.array([0, 0, 0.0]), -0.25, outward=True)
        masses = self.shells[Vertebra.C1]
        masses = masses[np.abs(masses[:, 0]) > 8 * self.scale]
        for _ in range(4):
            # Not above the shoulder of the dens, where it rounds off to the back.
            height = min(relative[2, 3] / self.anatomy.scales[Vertebra.C2][2], 0.72 * axis.bounds_mm[1, 2])
            front_of_dens = _first_bone(axis, np.array([0, -30.0, height]), 0.25, outward=True)
            arch = back_of_arch * self.anatomy.scales[Vertebra.C1][1]
            dens = front_of_dens * self.anatomy.scales[Vertebra.C2][1]
            relative[1, 3] = dens - _DENS_GAP_MM * self.scale - arch
            relative[2, 3] = seated(
                masses, relative, axis, self.anatomy.scales[Vertebra.C2], _FACET_GAP_MM * self.scale
            )
        return axis_frame @ relative


def shell(bone: Bone) -> np.ndarray:
    """Return points (N, 3) just below the surface of a bone, own frame."""
    low, high = bone.bounds_mm
    axes = [np.arange(a, b + _SHELL_STEP_MM, _SHELL_STEP_MM) for a, b in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    distance = bone.distance_mm(points.astype(np.float32))
    return points[(distance < 0) & (distance > -_SHELL_DEPTH_MM)]


def gaps(points_mm: np.ndarray, relative: np.ndarray, bone: Bone, scale: np.ndarray) -> np.ndarray:
    """Return distances (N,) of points to a scaled bone whose frame they reach by `relative`."""
    own = (points_mm @ relative[:3, :3].T + relative[:3, 3]) / scale
    distance: np.ndarray = bone.distance_mm(own.astype(np.float32)) * float(np.mean(scale))
    return distance


def seated(points_mm: np.ndarray, relative: np.ndarray, bone: Bone, scale: np.ndarray, gap_mm: float) -> float:
    """Return the height (own z of `bone`) at which points above a bone keep a gap to it; within 8 mm of now."""
    height = float(relative[2, 3])
    low, high = height - 8.0, height + 8.0
    trial = relative.copy()
    for _ in range(9):
        trial[2, 3] = (low + high) / 2
        if gaps(points_mm, trial, bone, scale).min() < gap_mm:
            low = trial[2, 3]
        else:
            high = trial[2, 3]
    return high


def _first_bone(bone: Bone, start_mm: np.ndarray, step_mm: float, *, outward: bool) -> float:
    """Return y of the first bone met from a point along y."""
    y = start_mm[1] + step_mm * np.arange(200)
    line = np.stack([np.full_like(y, start_mm[0]), y, np.full_like(y, start_mm[2])], axis=1)
    hit = np.flatnonzero(bone.distance_mm(line.astype(np.float32)) < 0)
    return float(y[hit[0]]) if hit.size and outward else float(start_mm[1])


def _head_frame(anatomy: Anatomy, turns: Orientations, frames: dict[Vertebra, np.ndarray], scale: float) -> np.ndarray:
    """Return the frame of the skull: that of C1 with the head turned and the condyles seated on C1."""
    atlas = frames[Vertebra.C1]
    relative = np.eye(4)
    relative[:3, :3] = atlas[:3, :3].T @ turns.head
    # The head nods about its condyles, which lie above the ring.
    pivot = np.array([0.0, -6.0, 9.0]) * scale
    relative[:3, 3] = pivot - relative[:3, :3] @ pivot
    skulls = [a for a in anatomy.attached if a.bone.name.startswith("skull-base")]
    if not skulls:
        return atlas @ relative
    points = shell(skulls[0].bone) * skulls[0].scale
    near = (np.abs(points[:, 0]) > 7 * scale) & (np.abs(points[:, 0]) < 30 * scale) & (points[:, 2] < 25 * scale)
    if near.any():
        bone, size = anatomy.vertebrae[Vertebra.C1], anatomy.scales[Vertebra.C1]
        relative[2, 3] = seated(points[near], relative, bone, size, _FACET_GAP_MM * scale)
    return atlas @ relative


def _shoulder_frame(thoracic: np.ndarray, scale: float) -> np.ndarray:
    """Return the frame of the shoulders: they hang on the trunk, and follow a bent T1 only a little.

    They turn about the joint with the manubrium, where the clavicles stay.
    """
    forward = np.arctan2(-thoracic[1, 2], thoracic[2, 2])
    back = _SHOULDERS_STAY * (forward - np.radians(_USUAL_SLOPE_DEG))
    turned = np.eye(4)
    turned[:3, :3] = turn(-float(np.degrees(back)), 0, 0)
    pivot = np.array(_STERNOCLAVICULAR_MM) * scale
    turned[:3, 3] = pivot - turned[:3, :3] @ pivot
    return thoracic @ turned


def _belongs_to_head(item: Attached) -> bool:
    return item.frame == Vertebra.C1


def _scaling(scale: np.ndarray) -> np.ndarray:
    return np.diag([*scale, 1.0])
