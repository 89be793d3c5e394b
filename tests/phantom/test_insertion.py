"""Fractures put into scans: they change what they say they change, and a sham nothing."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from cspine.domain import Box, ConfigError, Grid, LabelMap, Vertebra, Volume
from cspine.models import default_bundle_path, load_bundle
from cspine.phantom import (
    Case,
    Fracture,
    FractureAge,
    FractureType,
    ScanLook,
    insert_at,
    insert_fracture,
    look_of,
    prepare_site,
)
from cspine.pipeline import Analyzer
from cspine.stores import open_source
from tests.phantom.scan_builders import BLUR_MM, NOISE_HU, scan_of, turned_scan

TYPES = (
    FractureType.SAGITTAL_SPLIT,
    FractureType.EXTENSION_TEARDROP,
    FractureType.SPINOUS_PROCESS,
    FractureType.PILLAR,
)
WITHIN_VOXELS = 1.5
LOOK = ScanLook((0.6, 0.6, 0.6), NOISE_HU, (0.0, 0.0, 0.0))
HEAD = "real/visible-human-female-head/vhf_head_1mm_hu.nii.gz"


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def inserted(fracture: Fracture) -> Case:
    volume, labels = scan_of(fracture.vertebra)
    return insert_fracture(volume, labels, fracture, rng(), look=LOOK)


def split(**changes: object) -> Fracture:
    return replace(Fracture(FractureType.SAGITTAL_SPLIT, Vertebra.C5, severity=3, seed=4), **changes)  # type: ignore[arg-type]  # names of fields


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_a_sham_leaves_every_voxel_and_has_no_mask(kind: FractureType):
    volume, labels = scan_of()
    case = inserted(Fracture(kind, Vertebra.C5, severity=5, seed=2).sham)
    assert np.array_equal(case.volume.hu, volume.hu)
    assert np.array_equal(case.labels.labels, labels.labels)
    assert not case.fractures.labels.any()


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_the_mask_lies_within_a_voxel_and_a_half_of_what_changed(kind: FractureType):
    fracture = Fracture(kind, Vertebra.C5, severity=4, seed=6)
    site = prepare_site(*scan_of(), Vertebra.C5, replace(LOOK, noise_hu=0.0))
    done = insert_at(site, [fracture], rng())
    changed = np.abs(done.added_hu) >= 1
    mask = done.fractures > 0
    assert mask.sum() > 20
    assert ndimage.distance_transform_edt(~changed)[mask].max() <= WITHIN_VOXELS


def test_truth_says_what_was_inserted_and_its_box_holds_the_mask():
    case = inserted(split())
    (truth,) = case.truth.fractures
    assert (truth.type, truth.vertebra, truth.severity, truth.counted) == ("sagittal-split", Vertebra.C5, 3, True)
    box = Box.of_mask(case.fractures.labels == 1)
    assert box is not None
    assert truth.box_lps_mm is not None
    assert np.allclose(truth.box_lps_mm.min_lps_mm, case.volume.grid.box_to_world(box).min_lps_mm)
    assert case.truth.is_fractured(Vertebra.C5)


def test_nothing_but_a_box_round_the_vertebra_changes():
    volume, labels = scan_of()
    case = inserted(split(swelling_mm=0.0))
    away = ndimage.distance_transform_edt(labels.labels == 0) > 8
    assert np.array_equal(case.volume.hu[away], volume.hu[away])


def test_a_split_leaves_a_dark_line_that_grows_with_its_gap():
    volume, _ = scan_of()
    depths = []
    for gap in (0.2, 0.8, 2.0):
        case = inserted(split(gap_mm=gap, shift_mm=0.0, turn_deg=0.0))
        inside = ndimage.binary_erosion(case.fractures.labels == 1, iterations=1) | (case.fractures.labels == 1)
        depths.append(float((volume.hu[inside].astype(float) - case.volume.hu[inside]).mean()))
    assert 5 < depths[0] < depths[1] < depths[2]


def test_noise_in_a_wide_gap_is_that_of_the_scan():
    case = inserted(split(gap_mm=2.5, shift_mm=3.0, turn_deg=0.0, severity=5))
    quiet = inserted_without_noise(split(gap_mm=2.5, shift_mm=3.0, turn_deg=0.0, severity=5))
    core = np.abs(quiet.volume.hu.astype(float) - 40) < 45
    core &= case.fractures.labels == 1
    assert core.sum() > 30
    spread = (case.volume.hu.astype(float) - quiet.volume.hu)[core].std()
    assert 0.5 * NOISE_HU < spread < 1.8 * NOISE_HU


def inserted_without_noise(fracture: Fracture) -> Case:
    volume, labels = scan_of(fracture.vertebra, 0.0)
    return insert_fracture(volume, labels, fracture, rng(), look=replace(LOOK, noise_hu=0.0))


def test_labels_follow_bone_that_moves():
    before = scan_of()[1].labels == Vertebra.C5
    case = inserted(Fracture(FractureType.SPINOUS_PROCESS, Vertebra.C5, severity=5, seed=1, shift_mm=6.0))
    after = case.labels.labels == Vertebra.C5
    assert (before & ~after).sum() > 30
    assert (after & ~before).sum() > 30
    assert abs(int(after.sum()) - int(before.sum())) < 0.15 * before.sum()


def test_a_healed_fracture_is_a_mimic():
    case = inserted(split(age=FractureAge.HEALED))
    assert not case.truth.has_fracture
    assert [m.kind for m in case.truth.mimics] == ["healed-fracture"]
    assert (case.mimics.labels == 1).any()
    assert not case.fractures.labels.any()


def test_swelling_pushes_soft_tissue_forward_and_leaves_bone():
    volume, labels = scan_of()
    fracture = split(gap_mm=0.0, shift_mm=0.0, turn_deg=0.0, impaction=0.0, swelling_mm=9.0)
    case = inserted(fracture)
    changed = np.abs(case.volume.hu.astype(int) - volume.hu) > 100
    assert changed.any()
    front = np.argwhere(labels.labels > 0)[:, 1].min()
    assert np.argwhere(changed)[:, 1].max() < front
    assert np.array_equal(case.volume.hu[labels.labels > 0], volume.hu[labels.labels > 0])


def test_the_same_generator_state_gives_the_same_bytes_and_arguments_stay_as_they_are():
    volume, labels = scan_of()
    before = volume.hu.copy(), labels.labels.copy()
    assert np.array_equal(inserted(split()).volume.hu, inserted(split()).volume.hu)
    assert np.array_equal(volume.hu, before[0])
    assert np.array_equal(labels.labels, before[1])


def test_a_volume_in_another_orientation_gives_the_same_voxels():
    volume, labels = scan_of()
    axes = Grid.from_axes(
        volume.grid.shape, volume.grid.spacing_mm, directions=-np.diag([-1.0, 1.0, 1.0])[:, ::-1]
    ).canonical_order()
    other = volume.grid.reordered(axes)
    case = insert_fracture(
        Volume(other, axes.apply(volume.hu)), LabelMap(other, axes.apply(labels.labels)), split(), rng(), look=LOOK
    )
    assert np.array_equal(axes.undo(case.volume.hu), inserted(split()).volume.hu)


def test_two_fractures_of_a_vertebra_have_a_truth_each():
    volume, labels = scan_of()
    two = (split(), Fracture(FractureType.SPINOUS_PROCESS, Vertebra.C5, severity=4))
    case = insert_fracture(volume, labels, two, rng(), look=LOOK)
    assert sorted(t.type for t in case.truth.fractures) == ["sagittal-split", "spinous-process"]
    assert set(np.unique(case.fractures.labels)) == {0, 1, 2}


@pytest.mark.parametrize("degrees", [0.0, 20.0, -15.0])
def test_the_frame_of_a_vertebra_is_found_from_its_mask(degrees: float):
    frame = prepare_site(*turned_scan(degrees), Vertebra.C5, LOOK).solid.to_world
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    true = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    away = np.degrees(np.arccos(np.clip(np.diag(frame[:3, :3].T @ true), -1, 1)))
    assert away.max() < 9
    assert np.linalg.norm(frame[:3, 3]) < 3


def test_blur_and_noise_of_a_scan_are_measured():
    look = look_of(*scan_of())
    assert look.noise_hu == pytest.approx(NOISE_HU, rel=0.25)
    assert look.blur_mm[1] == pytest.approx(BLUR_MM, abs=0.15)
    assert max(look.grain) < 0.45


@pytest.mark.parametrize(
    ("fracture", "words"),
    [
        (Fracture(FractureType.CLAVICLE, Vertebra.T1), "clavicle@T1: only vertebrae are labeled"),
        (Fracture(FractureType.FACET_SUBLUXATION, Vertebra.C5), "facet-subluxation@C5: the spine above"),
        (Fracture(FractureType.TRANSDISCAL, Vertebra.C5), "transdiscal@C5: it needs an ankylosed"),
        (Fracture(FractureType.LAMINA, Vertebra.C6), "C6 is not labeled"),
    ],
    ids=str,
)
def test_what_cannot_be_inserted_is_refused_by_name(fracture: Fracture, words: str):
    volume, labels = scan_of()
    with pytest.raises(ConfigError, match=words):
        insert_fracture(volume, labels, fracture, rng(), look=LOOK)


def test_a_vertebra_at_the_end_of_the_volume_is_refused():
    volume, labels = scan_of()
    box = Box((20, 0, 0), volume.grid.shape)
    with pytest.raises(ConfigError, match="C5 is cut off by the end of the volume"):
        insert_fracture(volume.crop(box), labels.crop(box), split(), rng(), look=LOOK)


def test_labels_of_another_grid_and_no_fracture_at_all_are_refused():
    volume, labels = scan_of()
    box = Box((1, 0, 0), volume.grid.shape)
    with pytest.raises(ConfigError, match="do not lie on the grid"):
        insert_fracture(volume, labels.crop(box), split(), rng())
    with pytest.raises(ConfigError, match="none is given"):
        insert_fracture(volume, labels, (), rng())


@pytest.mark.slow
def test_a_real_scan_with_masks_of_the_shipped_bundle_takes_a_fracture(shared_data: Callable[[str], Path]):
    with open_source(shared_data(HEAD)) as source:
        whole = source.studies()[0].load().volume.canonical()
    volume = whole.crop(Box((134, 170, 170), (234, 310, 320)))
    labels = Analyzer(load_bundle(default_bundle_path()), threads=2).analyze(volume).labels
    fracture = Fracture(FractureType.SAGITTAL_SPLIT, Vertebra.C4, severity=4, seed=1, swelling_mm=0.0)
    case = insert_fracture(volume, labels, fracture, rng())
    mask = case.fractures.labels == 1
    changed = case.volume.hu != volume.hu
    assert mask.sum() > 50
    assert ndimage.distance_transform_edt(~changed)[mask].max() <= WITHIN_VOXELS
    assert np.array_equal(insert_fracture(volume, labels, fracture.sham, rng()).volume.hu, volume.hu)
