"""The fracture stage is trained from stored crops, exported beside a vertebra stage and tuned through the pipeline."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cspine.domain import CERVICAL, BundleIncompatible, ConfigError, GroundTruth, LabelMap, Vertebra
from cspine.evaluation import ErrorLevels
from cspine.models import default_bundle_path, load_bundle, open_session
from cspine.phantom import Case, CropPlan
from cspine.pipeline import Analyzer, FractureSpec, LocalizeSpec
from cspine.training import LoopConfig
from cspine.training.devices import Place
from cspine.training.fracture_bundle import export_fracture
from cspine.training.fracture_cases import (
    LABEL_BITS,
    MIMIC_GROUPS,
    MIMICS,
    OTHER_FRACTURE,
    OWN_FRACTURE,
    TWIN_FRACTURE,
    TYPES,
    FractureCasePlan,
    draw_person,
    load_crops,
    make_fracture_cases,
)
from cspine.training.fracture_net import FractureNet, widened, widths_of
from cspine.training.fracture_recipe import FracturePhase, FractureRecipe
from cspine.training.fracture_task import FracturePlan, FractureTask, draw_sample
from cspine.training.fractures import train_fractures, train_members
from cspine.training.loop import fit
from cspine.workflow.tuning import MAP_POINTS, TunedStudy, study_of, tune
from tests.models.coded import broken_case, coded_bundle, coded_case, coded_fracture_bundle

pytestmark = pytest.mark.filterwarnings("ignore")  # the exporter's own dependencies warn about themselves

SHAPE = (44, 84, 100)
ONE = LoopConfig(steps=2, batch=2, workers=0, threads=1, save_every=1, channels_last=False)


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Crops of a person made of blocks: the first is broken, the second is not."""
    folder = tmp_path_factory.mktemp("cases") / "person_00000"
    folder.mkdir()
    hu = np.full((2, *SHAPE), 40, dtype=np.int16)
    codes = np.zeros((2, *SHAPE), dtype=np.uint8)
    body = np.s_[:, 14:30, 20:60, 30:70]
    hu[body], codes[body] = 600, int(Vertebra.C5)
    hu[0, 20:23, 20:60, 30:70] = 50
    codes[0, 20:23, 20:60, 30:70] |= OWN_FRACTURE
    codes[1, 2:5, 2:30, 2:30] = int(Vertebra.C4) | OTHER_FRACTURE
    np.save(folder / "hu.npy", hu)
    np.save(folder / "codes.npy", codes)
    truth = {
        "vertebra": np.array([5, 5]),
        "fractured": np.array([1, 0]),
        "severity": np.array([4, 0]),
        "types": np.eye(2, len(TYPES), 3, dtype=bool),
        "mimics": np.zeros((2, len(MIMICS)), dtype=bool),
    }
    np.savez(folder / "truth.npz", **truth)
    return folder


def test_persons_carry_several_fractures_of_the_family_that_may_train() -> None:
    plan = FractureCasePlan(untouched=0.3)
    drawn = [draw_person(plan, k) for k in range(40)]
    assert drawn[3] == draw_person(plan, 3)
    assert {f.family for person in drawn for f in person.fractures} == {"A"}
    levels = [len({f.vertebra for f in person.fractures}) for person in drawn]
    assert 2 < np.mean([n for n in levels if n]) < 5
    assert 4 <= levels.count(0) <= 20


def test_what_only_evaluates_is_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="evaluation only"):
        FractureCasePlan(crops=CropPlan(anatomies=(str(tmp_path / "umtri-cspine"),)))


def test_every_mimic_of_the_phantom_has_a_name_in_the_findings() -> None:
    kinds = [kind for group in MIMIC_GROUPS.values() for kind in group]
    assert len(kinds) == len(set(kinds)) == len(type(kinds[0]))


@pytest.mark.slow
def test_crops_of_a_person_and_of_the_unbroken_twin_are_stored_once(tmp_path: Path) -> None:
    shape = (44, 48, 56)
    plan = FractureCasePlan(persons=1, crops=CropPlan(scans=1, shape=shape, spacing_mm=(1.5, 1.5, 1.5)), workers=1)
    (folder,) = make_fracture_cases(plan, tmp_path)
    crops = load_crops(folder)
    assert crops.hu.shape == crops.codes.shape
    assert crops.hu.shape[1:] == shape
    bare, broken, inserted = np.split(np.arange(len(crops.vertebra)), [7, 14])
    assert sorted(crops.vertebra[bare]) == sorted(crops.vertebra[broken]) == [int(v) for v in CERVICAL]
    assert np.array_equal(crops.vertebra[bare], crops.vertebra[broken])
    assert sorted(set(crops.vertebra[inserted])) == sorted(crops.vertebra[bare])
    assert crops.fractured[broken].sum() >= 1
    assert crops.fractured[inserted].sum() >= 8
    assert not crops.fractured[bare].any()
    for k, codes in enumerate(crops.codes):
        assert bool(crops.fractured[k]) == bool((codes & OWN_FRACTURE).any())
        assert bool(crops.twin[k]) == bool((codes & TWIN_FRACTURE).any())
    for k in inserted[crops.fractured[inserted] > 0]:
        twin = int(np.flatnonzero(crops.vertebra[bare] == crops.vertebra[k])[0])
        assert crops.twin[twin]
        changed = crops.hu[k] != crops.hu[twin]
        assert changed[crops.codes[k] & OWN_FRACTURE > 0].mean() > 0.5
        assert changed.mean() < 0.5
    before = (folder / "hu.npy").stat().st_mtime_ns
    make_fracture_cases(plan, tmp_path)
    assert (folder / "hu.npy").stat().st_mtime_ns == before


def test_a_torn_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not the crops of a person"):
        load_crops(tmp_path)


def test_a_sample_keeps_the_break_and_its_label_together(person: Path) -> None:
    crops, plan = load_crops(person), FracturePlan()
    for seed in range(12):
        sample = draw_sample(crops, 0, plan, np.random.default_rng(seed))
        assert sample["crop"].shape == (3, *plan.shape)
        assert sample["map"].shape == (1, plan.shape[0], plan.shape[1] // 2, plan.shape[2] // 2)
        assert sample["fractured"] == 1
        assert (sample["weight"] == 1) == (sample["map"].sum() > 500)
        low = sample["crop"][0][sample["map"][0].repeat_interleave(2, 1).repeat_interleave(2, 2) > 0]
        assert low.mean() < sample["crop"][0][sample["crop"][1] > 0.9].mean()
    whole = draw_sample(crops, 1, replace(plan, turned=0.0), np.random.default_rng(0))
    assert whole["fractured"] == 0
    assert whole["weight"] == 1


def test_a_small_part_lies_on_the_break_or_else_on_the_vertebra(person: Path) -> None:
    crops = load_crops(person)
    plan = FracturePlan(shape=(8, 16, 16), aimed=True, miss=(2, 4, 4))
    for seed in range(12):
        broken = draw_sample(crops, 0, plan, np.random.default_rng(seed))
        assert broken["crop"].shape == (3, 8, 16, 16)
        assert broken["map"].any()
        whole = draw_sample(crops, 1, plan, np.random.default_rng(seed))
        assert not whole["map"].any()
        assert whole["crop"][1].max() > 0.5


def test_a_part_of_a_twin_lies_where_the_other_is_broken(person: Path) -> None:
    crops = load_crops(person)
    codes = np.array(crops.codes)
    codes[1, 14:16, 20:22, 66:69] |= TWIN_FRACTURE
    plan = FracturePlan(shape=(8, 16, 16), aimed=True, miss=(0, 0, 0), turned=0.0, moving=0.0, blurred=0.0)
    told = replace(crops, codes=codes, twin=np.array([False, True]))
    for seed in range(6):
        part = draw_sample(told, 1, plan, np.random.default_rng(seed))
        assert not part["map"].any()
        edge = part["crop"][1] > 0.5  # the corner of the block that the mark lies in
        assert 0 < edge.float().mean() < 0.5


def test_half_of_what_is_not_broken_are_twins(person: Path, tmp_path: Path) -> None:
    other = tmp_path / "person_00001"
    other.mkdir()
    truth = dict(np.load(person / "truth.npz")) | {"twin": np.array([False, True])}
    np.savez(other / "truth.npz", **truth)
    codes = np.load(person / "codes.npy")
    codes[1, :, :, :] &= 15
    codes[1, 20:23, 20:60, 30:70] |= TWIN_FRACTURE
    np.save(other / "codes.npy", codes)
    np.save(other / "hu.npy", np.load(person / "hu.npy") + np.int16(1000))  # told apart by its gray values
    plan = FracturePlan(positive=0.0, turned=0.0, noisy=0.0, blurred=0.0, thick=0.0, moving=0.0)
    for share, expected in ((0.0, 0.5), (1.0, 1.0)):
        task = FractureTask((person, other), replace(plan, twins=share))
        means = [float(task.sample(k, 0, 7)["crop"][0].mean()) for k in range(24)]
        low, high = (
            float(FractureTask((p,), replace(plan, twins=0.0)).sample(0, 0, 7)["crop"][0].mean())
            for p in (person, other)
        )
        assert np.mean([abs(m - high) < abs(m - low) for m in means]) == pytest.approx(expected, abs=0.25)


def test_a_person_who_moves_breaks_nothing(person: Path) -> None:
    crops = load_crops(person)
    plan = FracturePlan(turned=0.0, noisy=0.0, blurred=0.0, thick=0.0, moving=1.0)
    for seed in range(6):
        moved = draw_sample(crops, 1, plan, np.random.default_rng(seed))
        assert moved["fractured"] == 0
        assert moved["mimics"][MIMICS.index("image artifact")] == 1
        still = draw_sample(crops, 1, replace(plan, moving=0.0), np.random.default_rng(seed))
        assert still["mimics"].sum() == 0
        assert not torch.equal(moved["crop"][0], still["crop"][0])
        assert not moved["map"].any() or crops.codes[1].max() > LABEL_BITS


def test_the_steps_are_shared_among_the_phases() -> None:
    shorter = FractureRecipe().of_length(580)
    assert [phase.loop.steps for phase in shorter.phases] == [50, 90, 100, 300, 40]


def test_members_start_from_other_weights_and_see_other_samples() -> None:
    recipe = FractureRecipe(members=3)
    seeds = [phase.loop.seed for k in range(3) for phase in recipe.member(k)]
    assert len(set(seeds)) == len(seeds)
    assert recipe.member(0) == recipe.phases


def test_one_person_of_so_many_has_another_anatomy(tmp_path: Path) -> None:
    (tmp_path / "meshes").mkdir()
    plan = FractureCasePlan(crops=CropPlan(anatomies=("procedural", str(tmp_path / "meshes"))), other_every=3)
    drawn = [Path(draw_person(plan, k).anatomy).name for k in range(6)]
    assert drawn == ["procedural", "procedural", "meshes"] * 2


def test_training_lowers_the_loss_of_the_map(person: Path, tmp_path: Path) -> None:
    task = FractureTask((person,), FracturePlan(shape=(16, 48, 64)))
    said: list[float] = []
    config = replace(ONE, steps=30, log_every=10, learning_rate=2e-3, warmup=5)
    fit(task, config, tmp_path / "run", report=lambda _, parts: said.append(parts["map"]))
    assert said[-1] < 0.8 * said[0]
    saved = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert saved["step"] == 30


def test_the_network_judges_crops_of_any_allowed_size() -> None:
    network = FractureNet(3).eval()
    for shape in ((16, 32, 48), (24, 48, 32)):
        broken, heads = network(torch.zeros(2, 3, *shape))
        assert broken.shape == (2, 1, shape[0], shape[1] // 2, shape[2] // 2)
        assert heads.shape == (2, 4)


def test_a_wider_network_answers_as_the_one_that_it_came_from() -> None:
    network = FractureNet(3)
    with torch.no_grad():
        for norm in (m for m in network.modules() if isinstance(m, torch.nn.BatchNorm3d)):
            for values in (norm.running_mean, norm.bias):
                assert values is not None
                values.normal_()
    wide = widened(network, (24, 48, 80, 104))
    crop = torch.randn(2, 3, 16, 32, 48)
    with torch.no_grad():
        for old, new in zip(network.eval()(crop), wide.eval()(crop), strict=True):
            torch.testing.assert_close(new, old, rtol=1e-4, atol=1e-4)
    assert widths_of({name: tuple(w.shape) for name, w in wide.state_dict().items()}) == (24, 48, 80, 104)
    with pytest.raises(ConfigError, match="one is narrower"):
        widened(wide, (16, 48, 80, 104))


def test_new_channels_learn(person: Path, tmp_path: Path) -> None:
    task = FractureTask((person,), FracturePlan(shape=(16, 32, 32), aimed=True), (20, 36, 68, 100))
    begun = widened(FractureNet(len(TYPES) + len(MIMICS)), task.widths)
    before = begun.map.weight[:, 16:].clone()
    assert not before.any()
    learned = fit(task, replace(ONE, steps=3, warmup=1), tmp_path, begun)
    assert isinstance(learned, FractureNet)
    assert learned.map.weight[:, 16:].any()


@pytest.mark.slow  # about 20 s: a graph is exported
def test_a_network_trained_in_bf16_is_exported_as_exactly_as_any_other(person: Path, tmp_path: Path) -> None:
    task = FractureTask((person,), FracturePlan(shape=(16, 32, 32), aimed=True))
    said: list[float] = []
    config = replace(ONE, steps=3, log_every=1)
    trained = fit(
        task, config, tmp_path, report=lambda _, parts: said.append(parts["loss"]), place=Place("cpu", "bf16")
    )
    assert np.isfinite(said).all()
    assert {p.dtype for p in trained.parameters()} == {torch.float32}
    exported = export_fracture(trained, FractureSpec(shape=(16, 32, 48)))
    assert exported.parity.max_abs_diff < 1e-4


@pytest.mark.slow
def test_the_recipe_makes_a_bundle_that_sees_and_tells(
    person: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = FracturePlan(shape=(16, 32, 32), aimed=True)
    phases = (FracturePhase(1.0, parts, ONE), FracturePhase(1.0, FracturePlan(), ONE))
    recipe = FractureRecipe(cases=FractureCasePlan(persons=1), phases=phases, members=2, mirrored=True, tuning=1)
    said: list[str] = []
    run = tmp_path / "run"
    (run / "cases").mkdir(parents=True)
    (run / "cases" / "person_00000").symlink_to(person)
    cases = iter([coded_study(True), coded_study(False), coded_study(True), coded_study(False)])
    monkeypatch.setattr("cspine.training.fractures.make_evaluation_cases", lambda _: ((None, c) for c in cases))
    vertebrae = coded_bundle(tmp_path / "vertebrae")
    bundle = train_fractures(recipe, run, vertebrae, said.append)
    assert "tuning: 4 studies" in said
    assert bundle.manifest.training["vertebrae"]["bundle"] == vertebrae.id
    for made in (bundle, load_bundle(run / "bundle-untuned")):  # whoever tunes it again keeps to the accepted errors
        rule = made.manifest.calibration["level_rules"][0]
        assert (rule["miss"], rule["false_alarm"]) == (recipe.level_errors.miss, recipe.level_errors.false_alarm)
    assert "PHANTOM" in bundle.manifest.thresholds["chosen_on"]
    assert bundle.graph_bytes("fracture") != bundle.graph_bytes("fracture-2")
    assert {"fracture", "fracture-2"} <= bundle.manifest.parity.keys()
    assert bundle.manifest.labels["mimics"] == MIMICS
    assert "phantom figures" in bundle.card()
    assert "2 steps of 2 parts of crops, then 2 steps of 2 crops" in bundle.card()
    findings = Analyzer(bundle, threads=2).analyze(coded_case()[0]).findings
    assert all(f.probability is not None for f in findings.vertebrae)
    assert train_fractures(recipe, run, vertebrae, said.append).id == load_bundle(run / "bundle").id
    (run / "cases" / "person_00000").unlink()
    again = train_members(recipe, run, said.append)  # finished networks need no crops
    assert len(again) == 2
    assert not list((run / "cases").iterdir())
    with pytest.raises(ConfigError, match="another recipe"):
        train_fractures(replace(recipe, version="0"), run, vertebrae, said.append)


@pytest.mark.slow  # about 40 s: graphs are exported
def test_a_training_begins_from_the_fracture_network_of_a_bundle_and_says_so(
    person: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    still = replace(ONE, steps=1, learning_rate=0.0, freeze_norm=0.0)
    phases = (FracturePhase(1.0, FracturePlan(shape=(16, 32, 32), aimed=True), still),)
    widths = (24, 40, 64, 96)  # what the network is made wider to must not change what it says, nor where it learns
    recipe = FractureRecipe(cases=FractureCasePlan(persons=1), phases=phases, tuning=1, widths=widths)
    (tmp_path / "run" / "cases").mkdir(parents=True)
    (tmp_path / "run" / "cases" / "person_00000").symlink_to(person)
    cases = [coded_study(broken) for broken in (True, False, True, False)]
    monkeypatch.setattr("cspine.training.fractures.make_evaluation_cases", lambda _: ((None, c) for c in cases))
    begin, bare = load_bundle(default_bundle_path()), coded_bundle(tmp_path / "bare")
    with pytest.raises(BundleIncompatible, match="has no fracture network with the types and mimics of this version"):
        train_fractures(recipe, tmp_path / "run", bare, lambda line: None, start=bare)
    (tmp_path / "run" / "recipe.json").unlink()
    made = train_fractures(
        recipe, tmp_path / "run", bare, lambda line: None, start=begin, place=Place("cpu", on_device=True)
    )
    assert made.manifest.training["fractures"]["start"] == begin.id
    assert f"begun from the fracture network of bundle {begin.short_id}" in made.card()
    crop = np.random.default_rng(0).normal(0, 0.5, (1, 3, *recipe.spec.shape)).astype(np.float32)
    old, new = (open_session(b, "fracture", engine="onnxruntime", threads=1).run({"crop": crop}) for b in (begin, made))
    for name in ("map", "heads"):
        np.testing.assert_allclose(new[name], old[name], atol=1e-3)
    with pytest.raises(ConfigError, match="another recipe"):
        train_fractures(recipe, tmp_path / "run", bare, lambda line: None)


def coded_study(broken: bool) -> Case:
    """Return a coded neck as a case, its C4 broken or not."""
    volume, labels, truth = broken_case()[:3] if broken else coded_case()
    empty = LabelMap(volume.grid, np.zeros_like(labels.labels))
    return Case(volume, labels, truth, empty, empty)


def test_tuning_finds_the_rule_and_the_point_that_part_broken_from_whole(tmp_path: Path) -> None:
    analyzer = Analyzer(coded_fracture_bundle(tmp_path / "bundle"), threads=2)
    pair = [study_of(analyzer, coded_study(broken)) for broken in (True, False)]
    assert all(study is not None for study in pair)
    kept = [study for study in pair if study is not None]
    assert kept[0].labels.tolist() == [1, 0, 0, 0, 1, 0, 0, 0]
    assert kept[0].logits[3] > 0 > kept[1].logits[3]
    assert not np.isnan(kept[0].logits).any()
    errors = ErrorLevels(0.1, 0.1)
    tuned = tune([study for _ in range(12) for study in kept], LocalizeSpec(), "coded", (errors, errors))
    assert tuned.points.keys() == set(MAP_POINTS)
    assert tuned.points[tuned.point] == 1.0
    rule = tuned.triage.level_rules[0]
    assert rule.rule_out_below is not None
    assert rule.rule_in_above is not None
    real = replace(kept[1], logits=kept[1].logits + 99)
    spared = tune(
        [study for _ in range(12) for study in kept], LocalizeSpec(), "coded", (errors, errors), unbroken=[real]
    )
    assert spared.triage.level_rules[0].rule_in_above == real.logits.max() > rule.rule_in_above


def test_a_refused_study_does_not_tune(tmp_path: Path) -> None:
    analyzer = Analyzer(coded_fracture_bundle(tmp_path / "bundle"), threads=2)
    case = coded_study(broken=False)
    air = replace(case.volume, hu=np.full_like(case.volume.hu, -1000))
    assert study_of(analyzer, replace(case, volume=air)) is None


def test_levels_without_their_own_vertebra_stay_unknown(tmp_path: Path) -> None:
    analyzer = Analyzer(coded_fracture_bundle(tmp_path / "bundle"), threads=2)
    volume, labels, truth = coded_case(bottom=Vertebra.C5)
    empty = LabelMap(volume.grid, np.zeros_like(labels.labels))
    study = study_of(analyzer, Case(volume, labels, GroundTruth(truth.vertebrae), empty, empty))
    assert isinstance(study, TunedStudy)
    assert np.isnan(study.logits).tolist() == [False] * 5 + [True] * 2
