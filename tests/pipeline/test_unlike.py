"""What is unlike the training is measured on the scan itself, and gets no number."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cspine.domain import CERVICAL, Decision, FlagCode, Grid, Vertebra, Volume
from cspine.pipeline import Analyzer, FractureSpec, IntensitySpec, LocalizeSpec, PipelineSpec, Told, judgment_of
from cspine.pipeline.preprocess import fracture_channels
from cspine.pipeline.spec import UnlikeSpec
from cspine.pipeline.unlike import CropLook, darkest_hu, look_at
from tests.models.coded import coded_case, coded_fracture_bundle, coded_triage
from tests.pipeline.test_fracture_stage import judged

SPECS = (IntensitySpec(), UnlikeSpec())
SHAPE = (24, 64, 64)
GRID = Grid.from_axes(SHAPE, FractureSpec().spacing_mm, (0.0, 0.0, 0.0))
NORMAL = CropLook(20.0, 45.0, 0.0)


def crop_of(hu: np.ndarray) -> tuple[np.ndarray, Volume]:
    """Return the network's input of a made neck, a block of bone in its middle, and the neck."""
    bone = np.zeros(SHAPE, np.float32)
    bone[6:18, 20:44, 20:44] = 1
    shown = np.where(bone > 0, 700, hu).astype(np.float32)
    crop = fracture_channels(shown, bone, np.zeros_like(bone), IntensitySpec(), FractureSpec())
    return crop, Volume(GRID, shown)


@pytest.mark.parametrize("noise_hu", [15.0, 60.0, 180.0])
def test_noise_is_measured_in_soft_tissue_beside_bone_and_air(noise_hu: float) -> None:
    rng = np.random.default_rng(4)
    hu = np.full(SHAPE, 50.0)
    hu[:, :, 32:] = -95  # fat
    hu[:, :8] = -1000
    crop, volume = crop_of(hu + rng.normal(0, noise_hu, SHAPE))
    assert look_at(crop, volume, GRID, SPECS).noise_hu == pytest.approx(noise_hu, rel=0.08)


@pytest.mark.parametrize("shift_hu", [-150.0, 0.0, 150.0])
def test_shifted_ct_numbers_show_in_the_tissue_round_the_vertebra(shift_hu: float) -> None:
    hu = np.full(SHAPE, 50.0 + shift_hu)
    hu[:, :8] = -1000
    crop, volume = crop_of(hu)
    assert look_at(crop, volume, GRID, SPECS).tissue_hu == pytest.approx(50 + shift_hu, abs=1)


def test_metal_is_measured_as_a_volume() -> None:
    hu = np.full(SHAPE, 50.0)
    hu[4:14, 2:12, 2:12] = 3071
    crop, volume = crop_of(hu)
    assert look_at(crop, volume, GRID, SPECS).metal_cm3 == pytest.approx(1000 * 0.75 * 0.75 / 1000)


@pytest.mark.parametrize(
    ("look", "code", "words"),
    [
        (replace(NORMAL, noise_hu=190.0), FlagCode.NOISE, "noise of 190 HU in soft tissue, limit 120 HU"),
        (
            replace(NORMAL, tissue_hu=180.0),
            FlagCode.HU_SCALE,
            "tissue round the vertebra has 180 HU, expected -80 … 130",
        ),
        (replace(NORMAL, tissue_hu=-120.0), FlagCode.HU_SCALE, "has -120 HU"),
        (replace(NORMAL, metal_cm3=14.0), FlagCode.METAL, "metal of 14 cm³ round the vertebra, limit 10 cm³"),
    ],
)
@pytest.mark.parametrize("logit", [-6.0, 6.0])
def test_beyond_a_limit_neither_yes_nor_no_and_no_number_is_said(
    look: CropLook, code: FlagCode, words: str, logit: float
) -> None:
    told = Told(coded_triage(), LocalizeSpec(), ("dens-ii",), ("metal",))
    odd, plain = (replace(judged(v, logit), look=k) for v, k in ((Vertebra.C3, look), (Vertebra.C4, NORMAL)))
    volume = Volume(odd.grid, np.full(odd.grid.shape, -1000, dtype=np.int16))
    made = judgment_of([odd, plain], dict.fromkeys((Vertebra.C3, Vertebra.C4), 1.0), told, volume)
    verdict = made.verdicts[Vertebra.C3]
    assert verdict.decision is Decision.NOT_ASSESSED
    assert verdict.probability is None
    assert words in (verdict.reason or "")
    assert made.verdicts[Vertebra.C4].probability is not None
    (flag,) = made.flags
    assert (flag.code, flag.vertebrae) == (code, (Vertebra.C3,))
    assert words in flag.message


def test_some_metal_is_told_and_changes_no_answer() -> None:
    told = Told(coded_triage(), LocalizeSpec(coarsest_mm=(2.0, 2.0)), ("dens-ii",), ("metal",))
    one = replace(judged(Vertebra.C3, 6.0), look=replace(NORMAL, metal_cm3=2.4))
    volume = Volume(one.grid, np.full(one.grid.shape, -1000, dtype=np.int16))
    made = judgment_of([one], {Vertebra.C3: 1.0}, told, volume)
    assert made.verdicts[Vertebra.C3].decision is Decision.RULE_IN
    assert [f.message for f in made.flags] == ["Metal of up to 2.4 cm³ round a vertebra; streaks may hide breaks."]


def test_a_scan_without_air_is_read_and_not_judged(tmp_path: Path) -> None:
    volume = coded_case()[0]
    clipped = Volume(volume.grid, np.maximum(volume.hu, -300))
    assert darkest_hu(clipped) == -300
    looking = Analyzer(coded_fracture_bundle(tmp_path / "bundle"), threads=1)
    findings = looking.analyze(clipped).findings
    assert {f.decision for f in findings.vertebrae} == {Decision.NOT_ASSESSED}
    assert findings.probability is None
    assert "nothing is darker than -300 HU" in (findings.of(Vertebra.C4).reason or "")
    (flag,) = [f for f in findings.flags if f.code is FlagCode.HU_SCALE]
    assert flag.vertebrae == CERVICAL
    plain = looking.analyze(volume).findings
    assert plain.decision is Decision.RULE_OUT
    assert not {f.code for f in plain.flags} & {FlagCode.HU_SCALE, FlagCode.NOISE, FlagCode.METAL}


def test_a_bundle_without_limits_of_its_own_has_those_of_this_version() -> None:
    spec = replace(PipelineSpec(), unlike=UnlikeSpec(noise_hu=50.0))
    assert PipelineSpec.from_manifest(spec.to_manifest()) == spec
    older = {key: value for key, value in spec.to_manifest().items() if key != "unlike"}
    assert PipelineSpec.from_manifest(older).unlike == UnlikeSpec()
