"""Batches drawn on a device show what the samples of the processors show, and a network learns from them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from cspine.domain import Box, ConfigError
from cspine.pipeline import RefineSpec, normalize
from cspine.training.coarse_samples import HEAT_SIGMA_MM, CoarsePlan, draw_coarse, seg_table
from cspine.training.loop import DrawsBatches, LoopConfig, fit
from cspine.training.on_device import HeldCoarseTask, HeldRefineTask
from cspine.training.on_device.appearance import scanned_hu
from cspine.training.on_device.coarse_batches import PatchDraw, draw_patch, patch_batch
from cspine.training.on_device.filters import along_axes, gaussians, generator_of
from cspine.training.on_device.held_cases import HeldCases, hold
from cspine.training.on_device.looks import draw_look, looks_on
from cspine.training.on_device.refine_batches import CropDraw, crop_batch
from cspine.training.refine_samples import CENTER_SIGMA_MM, RefinePlan, draw_refine
from cspine.training.synthesis import AIR_CODE, Metal, with_metal
from cspine.training.tissue_cases import BONE_BASE, CodeMap, TissueCase, bone_of, load_case, save_case
from cspine.training.warp import AxisWarp, Placement, block_mean, gaussian_at, take

CPU = torch.device("cpu")
CONFIG = LoopConfig(steps=4, batch=6, workers=0, threads=1, seed=7)
SHAPE = (48, 32, 32)
COARSE = CoarsePlan(shapes=(SHAPE,))
REFINE = RefinePlan(refine=RefineSpec(shape=(32, 32, 32)))


@pytest.fixture(scope="module")
def folders(toy_case: TissueCase, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Two cases of different shapes: addresses in the wrong one would show."""
    root = tmp_path_factory.mktemp("held")
    save_case(toy_case, root / "case_00000")
    save_case(TissueCase(_cut(toy_case.field), _cut(toy_case.spine), toy_case.centers_lps_mm), root / "case_00001")
    return root / "case_00000", root / "case_00001"


def _cut(held: CodeMap) -> CodeMap:
    d, h, w = held.grid.shape
    return CodeMap(held.grid.crop(Box((0, 5, 0), (d, h, w - 3))), held.codes[:, 5:, : w - 3])


def _codes(draw: PatchDraw | CropDraw, held: HeldCases) -> np.ndarray:
    """Return the codes of a sample's sub-voxels as the samplers of the processors take them."""
    shape = draw.case.grid.shape
    whole = held.codes[draw.case.start : draw.case.start + int(np.prod(shape))].numpy().reshape(shape)
    return draw.place.unflipped(take(whole, draw.place.warps, AIR_CODE))


def _inside(draw: PatchDraw | CropDraw) -> np.ndarray:
    low, high = draw.scanned
    inside = np.zeros(draw.place.shape, dtype=bool)
    inside[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return inside


def test_held_codes_are_those_of_the_folders(folders: tuple[Path, ...]) -> None:
    held = hold(folders, "field", CPU)
    for folder, case in zip(folders, held.cases, strict=True):
        codes = load_case(folder).field.codes
        np.testing.assert_array_equal(held.codes[case.start : case.start + codes.size].numpy(), codes.ravel())


def test_classes_and_heat_are_those_of_the_processors(folders: tuple[Path, ...]) -> None:
    task, held = HeldCoarseTask(folders, plan=COARSE), hold(folders, "field", CPU)
    patches = task.patches(held.cases, 0, CONFIG)
    assert {patch.case.start for patch in patches} == {case.start for case in held.cases}
    assert {patch.place.flip for patch in patches} == {True, False}
    batch = patch_batch(patches, held, COARSE, generator_of(0, 0, 0, CPU))
    sigma = [HEAT_SIGMA_MM / step for step in COARSE.coarse.spacing_mm]
    for patch, classes, heat in zip(patches, batch["classes"], batch["heat"], strict=True):
        z, y, x = patch.pick
        expected = seg_table()[bone_of(_codes(patch, held)[z::2, y::3, x::3])] * _inside(patch)
        np.testing.assert_array_equal(classes[0].numpy(), expected)
        channels = np.zeros(heat.shape)
        for vertebra, at in patch.centers.items():
            channel = channels[min(int(vertebra), 9) - 1]
            np.maximum(channel, gaussian_at(SHAPE, at, (sigma[0], sigma[1], sigma[2])), out=channel)
        np.testing.assert_allclose(heat.numpy(), channels, atol=1e-4)
    assert (batch["classes"] > 0).sum() > 500
    assert batch["heat"].max() > 0.8


def test_masks_heat_and_channels_are_those_of_the_processors(folders: tuple[Path, ...]) -> None:
    task, held = HeldRefineTask(folders, plan=REFINE), hold(folders, "spine", CPU)
    crops = task.crops(held.cases, 3, CONFIG)
    batch = crop_batch(crops, held, REFINE, generator_of(0, 0, 0, CPU))
    levels = {1: -1.0, 2: 1.0}
    for crop, channels, target in zip(crops, batch["crop"].numpy(), batch["target"].numpy(), strict=True):
        first, codes = BONE_BASE + 4 * int(crop.vertebra), _codes(crop, held)
        np.testing.assert_allclose(target[0], block_mean((codes >= first) & (codes < first + 4), (2, 2, 2)), atol=1e-6)
        heat = gaussian_at(REFINE.refine.shape, crop.center, (CENTER_SIGMA_MM / REFINE.refine.spacing_mm,) * 3)
        np.testing.assert_allclose(target[1], heat, atol=1e-4)
        np.testing.assert_array_equal(channels[3], _inside(crop))
        assert (channels[2] == levels.get(int(crop.vertebra), 0.0)).all()
        padded = normalize(np.array(REFINE.intensity.pad_hu), REFINE.intensity)
        assert (channels[0][~_inside(crop)] == padded).all()
    assert (batch["target"][:, 0] > 0.5).sum() > 500


def test_without_noise_the_intensities_are_those_of_the_processors(folders: tuple[Path, ...]) -> None:
    """Contrast, passage, blur, sharpening, scale and metal, one after the other."""
    held, rng = hold(folders, "field", CPU), np.random.default_rng(5)
    patches = [draw_patch(held.cases[k % 2], SHAPE, COARSE, rng) for k in range(24)]
    quiet = [
        replace(
            patch.look,
            strengths=patch.look.strengths._replace(bone_hu=0.0, soft_hu=0.0, noise_hu=0.0, streak_hu=0.0),
        )
        for patch in patches
    ]
    codes = held.take([patch.case.addresses(patch.place) for patch in patches])
    made = scanned_hu(codes, looks_on(quiet, SHAPE, CPU), (2, 3, 3), generator_of(0, 0, 0, CPU)).numpy()
    metals = 0
    for patch, look, hu in zip(patches, quiet, made, strict=True):
        out = block_mean(look.contrast[_codes(patch, held)], (2, 3, 3))
        for axis, matrix in enumerate(look.passages):
            out = out if matrix is None else np.moveaxis(np.tensordot(matrix, out, axes=(1, axis)), 0, axis)
        out = ndimage.gaussian_filter(out, look.filters[1])
        out = out + look.strengths.sharpness * (out - ndimage.gaussian_filter(out, (0, 1, 1)))
        out = out * look.strengths.gain + look.strengths.offset_hu
        if look.metal[0] > -1:
            metals += 1
            out = with_metal(out, Metal(look.metal[:3], look.metal[3:8], look.metal[8:13], *look.metal[13:]))
        np.testing.assert_allclose(hu, out, atol=0.2)
    assert metals > 0
    assert any(patch.look.passages[0] is not None for patch in patches)
    assert any(patch.look.passages[0] is None for patch in patches)


@pytest.mark.parametrize("sigma", [0.0, 0.3, 0.9, 2.0])
@pytest.mark.parametrize("truncate", [2.5, 4.0])
def test_filters_are_those_of_scipy_to_the_border(sigma: float, truncate: float) -> None:
    image = np.random.default_rng(1).standard_normal((12, 20, 16)).astype(np.float32)
    width, reach = torch.tensor([sigma]), torch.tensor([float(int(truncate * sigma + 0.5))])
    made = along_axes(torch.from_numpy(image)[None], [gaussians(width, reach, n) for n in image.shape])
    np.testing.assert_allclose(made[0], ndimage.gaussian_filter(image, sigma, truncate=truncate), atol=1e-5)


def test_a_batch_depends_on_seed_and_number_only(folders: tuple[Path, ...]) -> None:
    task = HeldCoarseTask(folders, plan=COARSE)
    in_turn = [task.draw(number, CONFIG, CPU)["ct"] for number in range(3)]
    again = HeldCoarseTask(folders, plan=COARSE).draw(2, CONFIG, CPU)["ct"]
    torch.testing.assert_close(in_turn[2], again, rtol=0, atol=0)
    assert not torch.equal(in_turn[1], in_turn[2])
    assert not torch.equal(task.draw(2, replace(CONFIG, seed=8), CPU)["ct"], again)


def test_what_lies_outside_a_case_is_air(folders: tuple[Path, ...]) -> None:
    held = hold(folders, "field", CPU)
    edge = AxisWarp(np.arange(8) - 6.0, 8, 1, 0)
    middle = AxisWarp(np.arange(8) + 36.0, 8, 1, 0)
    far = AxisWarp(np.arange(8) + 70_000.0, 8, 1, 0)
    for warps in ((far, middle, middle), (middle, far, middle), (middle, middle, far), (far, far, far)):
        addresses = held.cases[1].addresses(Placement(warps, flip=False))
        assert (held.take([addresses]) == AIR_CODE).all()
    codes = held.take([held.cases[1].addresses(Placement((edge, middle, middle), flip=False))])[0]
    assert (codes[:6] == AIR_CODE).all()
    assert (codes[6:] != AIR_CODE).any()


def test_bone_is_brighter_than_soft_tissue_in_the_same_sample(folders: tuple[Path, ...]) -> None:
    task, brighter = HeldCoarseTask(folders, plan=COARSE), []
    for number in range(3):
        batch = task.draw(number, CONFIG, CPU)
        for ct, classes in zip(batch["ct"], batch["classes"], strict=True):
            bone, soft = (classes >= 1) & (classes <= 9), (classes == 0) & (ct > -1)
            if bone.sum() > 50 and soft.sum() > 50:
                brighter.append(bool(ct[bone].mean() > ct[soft].mean()))
    assert len(brighter) >= 8
    assert np.mean(brighter) > 0.75


def _figures(images: np.ndarray) -> np.ndarray:
    """Return, per image (N, …), mean, standard deviation and roughness (of neighbors within a slice)."""
    flat = images.reshape(len(images), -1)
    rough = np.abs(np.diff(images, axis=-1)).reshape(len(images), -1)
    return np.stack([flat.mean(1), flat.std(1), rough.mean(1)])


def _assert_alike(some: np.ndarray, others: np.ndarray) -> None:
    """Compare the mean figures of two sets of images: three standard errors of their difference are allowed."""
    a, b = _figures(some), _figures(others)
    error = np.sqrt(a.var(1) / a.shape[1] + b.var(1) / b.shape[1])
    assert (np.abs(a.mean(1) - b.mean(1)) < 3 * error).all(), (a.mean(1), b.mean(1), error)
    assert (error < 0.12 * np.maximum(np.abs(b.mean(1)), 0.5)).all()


def test_coarse_intensities_are_distributed_as_those_of_the_processors(
    folders: tuple[Path, ...], toy_case: TissueCase
) -> None:
    task = HeldCoarseTask(folders[:1], plan=COARSE)
    made = torch.cat([task.draw(number, CONFIG, CPU)["ct"][:, 0] for number in range(12)])
    usual = [draw_coarse(toy_case, SHAPE, COARSE, np.random.default_rng(seed)).ct[0] for seed in range(72)]
    _assert_alike(made.numpy(), np.stack(usual))


def test_refine_intensities_are_distributed_as_those_of_the_processors(
    folders: tuple[Path, ...], toy_case: TissueCase
) -> None:
    task = HeldRefineTask(folders[:1], plan=REFINE)
    made = torch.cat([task.draw(number, CONFIG, CPU)["crop"][:, 0] for number in range(12)])
    usual = [draw_refine(toy_case, REFINE, np.random.default_rng(seed)).crop[0] for seed in range(72)]
    _assert_alike(made.numpy(), np.stack(usual))


def test_noise_and_texture_are_as_strong_as_the_sample_says() -> None:
    look = draw_look(SHAPE, (2.0, 4.0, 4.0), COARSE.native, np.random.default_rng(2))
    filters = look.filters.copy()
    filters[1] = 0
    strengths = look.strengths._replace(
        bone_hu=0.0, soft_hu=0.0, sharpness=0.0, gain=1.0, offset_hu=0.0, noise_hu=0.0, streak_hu=0.0
    )
    plain = replace(look, contrast=np.zeros(256, dtype=np.float32), filters=filters, passages=[None] * 3)
    noisy = replace(plain, strengths=strengths._replace(noise_hu=30.0))
    textured = replace(plain, strengths=strengths._replace(soft_hu=20.0))
    codes = torch.zeros((2, 96, 96, 96), dtype=torch.uint8)
    made = scanned_hu(codes, looks_on([noisy, textured], SHAPE, CPU), (2, 3, 3), generator_of(1, 1, 1, CPU))
    assert float(made[0].std()) == pytest.approx(30.0, rel=1e-3)
    # 20 HU of fine texture, and half as much slow noise, of which linear interpolation keeps (2/3)^1.5
    assert float(made[1].std()) == pytest.approx(20 * np.hypot(1, 0.5 * (2 / 3) ** 1.5), rel=0.05)


def test_every_tensor_is_made_on_the_device_of_the_batch(
    folders: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The meta device refuses to join what lies elsewhere, as an accelerator does; it has no generators."""
    meta = torch.device("meta")
    monkeypatch.setattr("cspine.training.on_device.appearance.normal", lambda shape, _: torch.randn(shape, device=meta))
    for stage in ("coarse", "refine"):
        monkeypatch.setattr(f"cspine.training.on_device.{stage}_batches.generator_of", lambda *_: None)
    for task in (HeldCoarseTask(folders, plan=COARSE), HeldRefineTask(folders, plan=REFINE)):
        assert {tensor.device for tensor in task.draw(0, CONFIG, meta).values()} == {meta}


@pytest.mark.parametrize("stage", ["coarse", "refine"])
def test_a_network_learns_from_held_cases(folders: tuple[Path, ...], stage: str, tmp_path: Path) -> None:
    task = (
        HeldCoarseTask(folders, plan=CoarsePlan(shapes=((32, 16, 16), (16, 32, 16))))
        if stage == "coarse"
        else HeldRefineTask(folders, plan=RefinePlan(refine=RefineSpec(shape=(16, 16, 16))))
    )
    assert isinstance(task, DrawsBatches)
    config = LoopConfig(steps=32, batch=2, learning_rate=1e-2, warmup=2, threads=1, log_every=8, save_every=32)
    fit(task, config, tmp_path)
    losses = [json.loads(line)["loss"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert losses[-1] < 0.9 * losses[0]


def test_real_scans_are_refused(folders: tuple[Path, ...]) -> None:
    with pytest.raises(ConfigError, match="1 real scans among the cases: they are drawn by CoarseTask only"):
        HeldCoarseTask(folders, real=(Path("scan"),))
