"""What a fracture changes in a scan.

The new image is the old one plus a difference of two blurred images, of which noise is no part: noise stays where it
was, as it belongs to the scan and not to the bone. Weights of the pieces are smoothed over the width of the scan's
blur, and gray values are taken from the scan itself, which blurred them already; so no new edge is sharper than those
of the scan. Without gap, shift and swelling the difference is zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cspine.phantom.fractures import Breaks, BrokenBone, PlacedFracture
from cspine.phantom.fractures.broken import Envelope, Share
from cspine.phantom.insertion.site import Site
from cspine.phantom.raster import Hits, Slab, slabs
from cspine.phantom.warp import no_warp

_BOX = float(np.sqrt(12))  # width of a box over its standard deviation
_COMPACTED_HU = np.float32(260.0)  # bone pushed into bone
_INTERPOLATED = np.float32(0.9)  # share of noise that interpolation leaves
_LEAST_MISSING = 0.02
_LEAST_BEHIND_HU = np.float32(5.0)


@dataclass(frozen=True, eq=False)
class Edit:
    """The difference that fractures make in the box of a site; float32 (slice, row, column).

    Attributes
    ----------
    added_hu
        What is added to the scan, noise aside.
    noise_left
        Variance of the scan's noise relative to before: 1 where it is untouched.
    bone
        Share of each voxel that the vertebra fills afterward minus before.
    """

    added_hu: np.ndarray
    noise_left: np.ndarray
    bone: np.ndarray


def broken_of(site: Site, fractures: Sequence[PlacedFracture], *, rimmed: bool) -> BrokenBone:
    """Return the vertebra with all fractures in it, with or without the rim of its blur."""
    solid = site.solid.rimmed if rimmed else site.solid.bone
    return BrokenBone(solid, Breaks.joined(placed.breaks for placed in fractures))


def edit_of(site: Site, fractures: Sequence[PlacedFracture]) -> Edit:
    """Work out what fractures of one vertebra change in its box."""
    shape = site.grid.shape
    edit = Edit(np.zeros(shape, np.float32), np.ones(shape, np.float32), np.zeros(shape, np.float32))
    broken = broken_of(site, fractures, rimmed=True)
    width = _BOX * site.blur_mm
    room = replace(site.solid.placed(site.solid.rimmed), bone=Envelope(broken))
    for slab in slabs(site.grid, no_warp()):
        for hits in slab.hits(room, width / 2):
            _paint_inplace(edit, site, broken, slab, hits)
    return edit


def _paint_inplace(edit: Edit, site: Site, broken: BrokenBone, slab: Slab, hits: Hits) -> None:
    width = np.float32(_BOX * site.blur_mm)
    signal, kept = (a[slab.slices].reshape(-1)[hits.flat] for a in (site.signal.hu, site.signal.kept))
    total, cover, noise, stays = (np.zeros(len(hits.flat), np.float32) for _ in range(4))
    whole = np.zeros(len(hits.flat), np.float32)
    for share in broken.shares(hits.own_mm, float(width)):
        at_rest = np.array_equal(share.source_mm, hits.own_mm[share.which])
        gray = signal[share.which] if at_rest else _taken(site, share)
        total[share.which] += share.cover * (gray + _harder(site, share, width))
        cover[share.which] += share.cover
        if at_rest:
            stays[share.which] += share.cover
        else:
            noise[share.which] += (share.cover * _INTERPOLATED) ** 2
        whole[share.which] += share.cover * _filled(site, share, width)
    room, filler = broken.gap_filling(hits.own_mm, float(width))
    crowded = np.clip(cover - 1, 0, 1)
    blended = total / np.maximum(cover, 1) + _COMPACTED_HU * crowded
    filled, cover, was = whole / np.maximum(cover, 1), np.minimum(cover, 1), room.astype(np.float32)
    own = site.solid.bone.distance_mm(hits.own_mm)
    before = np.clip(0.5 - own / width, 0, 1)
    # Blood gets into the fat beside a fragment that has left.
    behind = np.maximum(site.soft_hu[slab.slices].reshape(-1)[hits.flat], _LEAST_BEHIND_HU)
    filling = behind + before * (filler - behind)
    bared, covered = np.maximum(was - cover, 0), np.maximum(cover - was, 0)
    added = blended - was * signal + bared * filling - covered * signal
    moved = kept * (1 - was + stays)
    for target, values in (
        (edit.added_hu, added),
        (edit.noise_left, (1 - kept + moved) ** 2 + kept**2 * noise),
        (edit.bone, filled - before),
    ):
        target[slab.slices].reshape(-1)[hits.flat] = values


def _taken(site: Site, share: Share) -> np.ndarray:
    """Return the gray values at the places that a moved piece came from."""
    to_world = site.solid.to_world
    world = share.source_mm @ to_world[:3, :3].T + to_world[:3, 3]
    return site.signal.at(site.grid.to_index(world))


def _filled(site: Site, share: Share, width: np.float32) -> np.ndarray:
    """Return which share of the places of a piece is bone and not its rim."""
    filled: np.ndarray = np.clip(0.5 - site.solid.bone.distance_mm(share.source_mm) / width, 0, 1)
    return filled


def _harder(site: Site, share: Share, width: np.float32) -> np.ndarray | np.float32:
    """Return what compaction adds: to bone, not to its rim."""
    if not share.harder_hu.any():
        return np.float32(0)
    harder: np.ndarray = share.harder_hu * _filled(site, share, width)
    return harder


def with_noise(edit: Edit, site: Site, rng: np.random.Generator) -> np.ndarray:
    """Return what is added to the scan, with noise where an edit has taken some away."""
    missing = np.sqrt(np.clip(1 - edit.noise_left, 0, 1))
    if site.look.noise_hu == 0 or float(missing.max()) < _LEAST_MISSING:
        return edit.added_hu
    noise = site.look.noise(site.grid.shape, rng) * np.float32(site.look.noise_hu)
    noisy: np.ndarray = edit.added_hu + missing * noise
    return noisy


__all__ = ["Edit", "broken_of", "edit_of", "with_noise"]
