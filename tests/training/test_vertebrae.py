"""The recipe of the vertebra stage runs from cases to a bundle, and goes on where it stopped."""

from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from cspine.domain import ConfigError
from cspine.models import load_bundle
from cspine.pipeline import PipelineSpec
from cspine.training import (
    CasePlan,
    LoopConfig,
    Place,
    VertebraRecipe,
    continued_recipe,
    train_vertebrae,
    vertebra_recipe,
)
from cspine.training.loop import DrawsBatches
from cspine.training.tissue_cases import TissueCase, save_case

pytestmark = [
    pytest.mark.slow,
    # the exporter's own dependencies warn about themselves
    pytest.mark.filterwarnings("ignore"),
]

TINY = VertebraRecipe(
    cases=CasePlan(count=1),
    coarse=LoopConfig(steps=1, batch=1, workers=0, threads=1),
    refine=LoopConfig(steps=0, batch=1, workers=0, threads=1),
    adapt=LoopConfig(steps=0, batch=1, workers=0, threads=1),
)


def test_cases_become_a_bundle_and_a_second_call_makes_nothing_anew(toy_case: TissueCase, tmp_path: Path) -> None:
    run, real = tmp_path / "run", tmp_path / "real"
    save_case(toy_case, run / "cases" / "case_00000")
    real.mkdir()
    noise = np.random.default_rng(0).integers(-50, 80, size=(24, 24, 24)).astype(np.int16)
    for patient in (1, 2):
        nibabel.save(nibabel.Nifti1Image(noise, np.diag([4.0, 4, 4, 1])), real / f"pt_{patient}.nii.gz")
    said: list[str] = []
    bundle = train_vertebrae(TINY, run, real, said.append)
    assert said == ["1 phantom cases", "0 real scans with consistent pseudo-labels"]
    assert PipelineSpec.from_manifest(bundle.manifest.preprocess) == TINY.pipeline
    assert bundle.manifest.training["recipe"]["coarse"]["steps"] == 1
    assert "1 cases" in bundle.card()
    before = {p: p.stat().st_mtime_ns for p in run.rglob("*.pt")}
    assert train_vertebrae(TINY, run, real, said.append).id == load_bundle(run / "bundle").id == bundle.id
    assert {p: p.stat().st_mtime_ns for p in run.rglob("*.pt")} == before
    with pytest.raises(ConfigError, match=r"holds a run of another recipe"):
        train_vertebrae(replace(TINY, version="3"), run, real, said.append)


@pytest.mark.parametrize(("asked", "held"), [(True, True), (False, False), (None, False)])
def test_samples_are_drawn_on_the_device_when_asked_for_and_the_run_is_of_the_same_recipe(
    toy_case: TissueCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: bool | None, held: bool
) -> None:
    class Stop(Exception):
        """No need to train."""

    def stopped(task: object, *_: object, **__: object) -> None:
        raise Stop(isinstance(task, DrawsBatches))

    save_case(toy_case, tmp_path / "cases" / "case_00000")
    monkeypatch.setattr("cspine.training.vertebrae.fit", stopped)
    for on_device, expected in ((asked, held), (not held, not held)):
        with pytest.raises(Stop) as told:
            train_vertebrae(TINY, tmp_path, None, print, place=Place("cpu", on_device=on_device))
        assert told.value.args == (expected,)


def test_the_shipped_recipes_never_take_what_only_evaluates() -> None:
    for recipe in (vertebra_recipe(), continued_recipe()):
        assert recipe.cases.anatomies == ("procedural",)
        assert recipe.refine.steps > 0
        assert recipe.pipeline == PipelineSpec()


def test_a_recipe_takes_other_anatomies_sizes_and_machines() -> None:
    recipe = vertebra_recipe()
    assert recipe.of_anatomies(("meshes",)).cases.anatomies == ("procedural", "meshes")
    assert recipe.of_anatomies(("meshes",), procedural=False).cases.anatomies == ("meshes",)
    with pytest.raises(ConfigError, match="no anatomy is left to train on"):
        recipe.of_anatomies((), procedural=False)
    small = recipe.smaller({"cases": 8, "coarse": 0, "refine": None, "seed": 7})
    assert (small.cases.count, small.cases.seed) == (8, 7)
    assert (small.coarse.steps, small.refine) == (0, recipe.refine)
    here = recipe.on(5, 6)
    assert (here.cases.workers, here.coarse.threads, here.refine.threads, here.adapt.threads) == (5, 6, 6, 6)
    assert recipe.on(None, None) == recipe
