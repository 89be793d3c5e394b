"""A data set in the layout of RSNA 2022 becomes a calibrated bundle, each study answered by a network without it."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cspine.datasets import LabeledStudy, PlacedBox, RsnaOptions, StudyLabels
from cspine.domain import Box, ConfigError, Vertebra
from cspine.evaluation import ErrorLevels
from cspine.models import load_bundle, open_session, write_bundle
from cspine.phantom import CropPlan, FractureMix, sample_fractures
from cspine.pipeline import Analyzer, FractureSpec
from cspine.training import CasePlan, FlagshipRecipe, FractureCasePlan, FractureRecipe, LoopConfig, train_flagship
from cspine.training.export import ExportedGraph
from cspine.training.flagship.adapt import adapted_vertebrae, write_vertebra_stage
from cspine.training.flagship.recipe import AdaptPlan
from cspine.training.flagship.scores import load_scores, save_scores
from cspine.training.flagship.study_crops import (
    ROOM,
    broken_where_boxed,
    outlined_study,
    store_generated,
    store_study,
)
from cspine.training.fracture_cases import OTHER_FRACTURE, OWN_FRACTURE, load_crops
from cspine.training.fracture_recipe import FracturePhase
from cspine.training.fracture_task import FracturePlan
from cspine.workflow.tuning import study_of, without_map
from tests.models.coded import coded_bundle, coded_fracture_bundle
from tests.workflow.sites import coded_study, write_site

pytestmark = pytest.mark.filterwarnings("ignore")  # the exporter's own dependencies warn about themselves

ONE = LoopConfig(steps=1, batch=2, workers=0, threads=1, save_every=1, channels_last=False)
WHOLE = StudyLabels(overall=False, fractured=frozenset())
BROKEN = StudyLabels(overall=True, fractured=frozenset({Vertebra.C4}))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight studies of eight patients, four of them broken, half of those with boxes, two with masks."""
    root = tmp_path_factory.mktemp("set")
    write_site(root, 8, RsnaOptions(segmented_share=0.25, boxed_share=0.5, islands=0, mixed_share=0))
    return root


def tiny_recipe() -> FlagshipRecipe:
    """Return a recipe that takes real steps and little time."""
    plan = FracturePlan(shape=(16, 32, 32), turned=0.5)
    crops = CropPlan(scans=1, shape=(24, 40, 48), spacing_mm=(2.0, 2.0, 2.0))
    phantoms = FractureRecipe(
        cases=FractureCasePlan(persons=1, crops=crops, workers=1),
        phases=(FracturePhase(1.0, plan, ONE),),
        level_errors=ErrorLevels(0.3, 0.3),
        study_errors=ErrorLevels(0.3, 0.3),
    )
    adapt = AdaptPlan(loop=replace(ONE, steps=0))
    tune = FracturePhase(1.0, FracturePlan(shape=(16, 32, 32)), ONE)
    return FlagshipRecipe(phantoms=phantoms, adapt=adapt, tune=tune, phantom_share=1.0, folds=2)


@pytest.mark.slow
def test_a_set_becomes_a_bundle_and_every_study_is_answered_without_itself(root: Path, tmp_path: Path) -> None:
    run, said = tmp_path / "run", list[str]()
    vertebrae = coded_bundle(tmp_path / "vertebrae")
    bundle = train_flagship(tiny_recipe(), root, run, vertebrae, said.append)
    assert "8 studies, 4 fractured, 3 with boxes, 2 with masks" in said
    assert bundle.id == load_bundle(run / "bundle").id
    assert "each scored by a network without it" in bundle.manifest.thresholds["chosen_on"]
    assert "phantom figures" in bundle.card()
    with (run / "evaluation" / "studies.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len({row["StudyInstanceUID"] for row in rows}) == 8
    folds = [load_scores(run / f"fold-{k}" / "scores.npz") for k in range(2)]
    assert not folds[0].keys() & folds[1].keys()
    for k, fold in enumerate(folds):
        answered = load_bundle(run / f"fold-{k}" / "bundle")
        assert f"{8 - len(fold)} studies of the other folds" in answered.manifest.thresholds["chosen_on"]
        for uid in fold:
            found = json.loads((run / "evaluation" / "studies" / uid / "findings.json").read_text())
            assert found["model"]["id"] == answered.id
    before = {p: p.stat().st_mtime_ns for p in run.rglob("*") if p.is_file()}
    assert train_flagship(tiny_recipe().on(3, 2), root, run, vertebrae, said.append).id == bundle.id
    assert {p: p.stat().st_mtime_ns for p in run.rglob("*") if p.is_file()} == before
    with pytest.raises(ConfigError, match="another recipe"):
        train_flagship(replace(tiny_recipe(), version="0"), root, run, vertebrae, said.append)
    # What was trained is where another training begins, unless that is to begin from noise.
    still = replace(tiny_recipe(), tune=replace(tiny_recipe().tune, loop=replace(ONE, steps=0)))
    with pytest.raises(ConfigError, match=r"has learned from studies.*--from-noise"):
        train_flagship(still, root, tmp_path / "further", bundle, said.append)
    parts = replace(bundle.manifest.parts, training={})  # as if phantoms alone had made it
    graphs = {name: bundle.graph_bytes(name) for name in bundle.manifest.graphs}
    bundle = write_bundle(tmp_path / "phantoms-alone", parts, graphs, bundle.card())
    further = train_flagship(still, root, tmp_path / "further", bundle, said.append)
    assert f"the fracture network goes on from that of bundle {bundle.short_id}" in said
    assert f"that of bundle {bundle.short_id}, then" in further.card()
    assert not list((tmp_path / "further" / "phantoms").glob("phase-*"))
    probe = {"crop": np.random.default_rng(0).normal(size=(1, 3, *FractureSpec().shape)).astype(np.float32)}
    was, now = (open_session(part, "fracture").run(probe)["heads"] for part in (bundle, further))
    np.testing.assert_allclose(now, was, atol=1e-3)


def test_what_only_evaluates_does_not_train(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "set"
    shutil.copytree(root, copy)
    sidecar = sorted((copy / "truth").glob("*.json"))[0]
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "spec": {"fractures": [{"family": "B"}]}}))
    with pytest.raises(ConfigError, match="family B only evaluates"):
        train_flagship(tiny_recipe(), copy, tmp_path / "run", coded_bundle(tmp_path / "bundle"), lambda line: None)


def test_folds_that_cannot_be_calibrated_are_refused_before_anything_is_trained(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "set"
    shutil.copytree(root, copy)
    table = (copy / "train.csv").read_text().replace(",1,0,0,0,1,0,0,0", ",0,0,0,0,0,0,0,0", 3)
    (copy / "train.csv").write_text(table)
    with pytest.raises(ConfigError, match="must be 2 of each to calibrate"):
        train_flagship(tiny_recipe(), copy, tmp_path / "run", coded_bundle(tmp_path / "bundle"), lambda line: None)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["recipe.json"]


def labeled(*, broken: bool, boxed: bool) -> LabeledStudy:
    """Return a coded neck as a study of the set, with a box round the plate on each of its slices."""
    case = coded_study(0, broken=broken)
    numbers = tuple(range(case.volume.hu.shape[0]))
    if not boxed:
        return LabeledStudy("1.2", case.volume, numbers)
    k, j, i = (np.flatnonzero(case.fractures.labels.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    low, high = (int(j[0]) - 3, int(i[0]) - 3), (int(j[-1]) + 4, int(i[-1]) + 4)
    placed = tuple(PlacedBox(int(z), Box((int(z), *low), (int(z) + 1, *high))) for z in k)
    return LabeledStudy("1.2", case.volume, numbers, boxes=placed)


def test_a_break_is_where_a_box_lies_on_a_fractured_vertebra(tmp_path: Path) -> None:
    analyzer = Analyzer(coded_bundle(tmp_path / "bundle"), threads=1)
    study, seen = outlined_study(labeled(broken=True, boxed=True), analyzer)
    assert study.labels is not None
    assert study.boxes[0].level is Vertebra.C4
    assert [v for v, _ in seen] == [Vertebra(v) for v in range(1, 8)]
    broken = broken_where_boxed(study.labels, study.boxes, BROKEN)
    assert set(np.unique(broken)) == {0, 4}
    assert not broken_where_boxed(study.labels, study.boxes, WHOLE).any()
    store_study(study, seen, BROKEN, FractureSpec(), tmp_path / "crops")
    crops = load_crops(tmp_path / "crops")
    assert crops.hu.shape[1:] == tuple(a + b for a, b in zip(FractureSpec().shape, ROOM, strict=True))
    assert crops.fractured.tolist() == [0, 0, 0, 1, 0, 0, 0]
    assert crops.mapped.all()
    assert not crops.told.any()
    assert (crops.codes[3] & OWN_FRACTURE).any()
    assert not (crops.codes[3] & OTHER_FRACTURE).any()
    assert (crops.codes[4] & OTHER_FRACTURE).any()
    # Most of the plate is no bone of the outline; it stands in the crop where the code says all the same.
    plate = crops.hu[3] > 1500
    assert np.count_nonzero(plate & (crops.codes[3] & OWN_FRACTURE > 0)) > 0.6 * np.count_nonzero(plate)


def test_without_boxes_a_fractured_study_teaches_no_place(tmp_path: Path) -> None:
    analyzer = Analyzer(coded_bundle(tmp_path / "bundle"), threads=1)
    study, seen = outlined_study(labeled(broken=True, boxed=False), analyzer)
    store_study(study, seen, BROKEN, FractureSpec(), tmp_path / "crops")
    crops = load_crops(tmp_path / "crops")
    assert crops.fractured.sum() == 1
    assert not crops.mapped.any()
    store_study(study, seen, WHOLE, FractureSpec(), tmp_path / "other")
    assert load_crops(tmp_path / "other").mapped.all()


def test_blocks_are_no_vertebrae_to_be_broken(tmp_path: Path) -> None:
    """Every fracture is refused, and nothing is stored."""
    analyzer = Analyzer(coded_bundle(tmp_path / "bundle"), threads=1)
    study, seen = outlined_study(labeled(broken=False, boxed=False), analyzer)
    drawn = sample_fractures(np.random.default_rng(0), mix=FractureMix(study=1.0), bottom=Vertebra.C7)
    store_generated(study, seen, drawn, FractureSpec(), tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_scores_keep_what_tunes(tmp_path: Path) -> None:
    analyzer = Analyzer(coded_fracture_bundle(tmp_path / "bundle"), threads=1)
    study = study_of(analyzer, coded_study(0, broken=True))
    assert study is not None
    assert study.boxes
    save_scores({"a": study, "b": without_map(study)}, tmp_path / "scores.npz")
    found = load_scores(tmp_path / "scores.npz")
    np.testing.assert_array_equal(found["a"].logits, study.logits)
    np.testing.assert_array_equal(found["b"].labels, study.labels)
    assert found["b"].boxes is None
    assert found["a"].boxes == study.boxes
    for old, new in zip(study.judged, found["a"].judged, strict=True):
        assert new.vertebra is old.vertebra
        np.testing.assert_allclose(new.map, old.map, atol=1e-3)
        np.testing.assert_array_equal(new.grid.affine, old.grid.affine)


def test_an_adapted_vertebra_stage_leaves_the_fracture_stage_of_its_start_out(tmp_path: Path) -> None:
    start = coded_fracture_bundle(tmp_path / "start")
    coarse = ExportedGraph(start.graph_bytes("coarse"), start.manifest.parity["coarse"])
    made = write_vertebra_stage(tmp_path / "made", start, coarse, {"steps": 1}, "# Card\n")
    assert sorted(made.manifest.graphs) == ["coarse", "refine"]
    assert not made.manifest.labels.keys() & {"types", "mimics"}
    analyzer = Analyzer(made, threads=1)
    assert not analyzer.assesses_fractures
    case = coded_study(0, broken=False)
    before = Analyzer(start, threads=1).analyze(case.volume).findings
    assert [f.center_lps_mm for f in analyzer.analyze(case.volume).findings.vertebrae] == [
        f.center_lps_mm for f in before.vertebrae
    ]


def test_nothing_is_adapted_in_no_steps(tmp_path: Path) -> None:
    start = coded_bundle(tmp_path / "bundle")
    plan = AdaptPlan(phantoms=CasePlan(count=1), loop=replace(ONE, steps=0))
    assert adapted_vertebrae(plan, (), tmp_path / "run", start, lambda line: None) is start


def test_a_smaller_recipe_keeps_its_proportions() -> None:
    recipe = FlagshipRecipe().smaller(persons=3, steps=600, folds=3)
    assert recipe.tune.loop.steps == 600
    assert recipe.adapt.loop.steps == 70
    assert sum(phase.loop.steps for phase in recipe.phantoms.phases) == 580
    assert (recipe.phantoms.cases.persons, recipe.adapt.phantoms.count, recipe.folds) == (3, 3, 3)
