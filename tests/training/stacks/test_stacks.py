"""Stacks: what is known of each slice, who stays together, what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cspine.datasets import PhantomPlan, RsnaOptions, StudyLabels, label_slices
from cspine.domain import CERVICAL, ConfigError, NoImages
from cspine.training.backbones import Start
from cspine.training.stacks import (
    CERVICAL_FRACTURES,
    LabelSet,
    SliceSamples,
    StackPlan,
    StackSet,
    fold_parts,
    held_out,
    image_parts,
    label_set_named,
    level_targets,
    make_stack,
    parts_of_split,
    phantom_stacks,
    read_stacks,
    study_groups,
    visible_targets,
)
from tests.datasets.coded_trees import StudySpec, write_tree
from tests.training.stacks.toy_stacks import (
    PER_LEVEL,
    PLAN,
    SIZE,
    toy_broken,
    toy_set,
    toy_stack,
    toy_study,
    toy_targets,
)

START = Start("random", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
LUMBAR = LabelSet("lumbar", "any", ("L1", "L2", "L3"), (20, 21, 22))


def tree(root: Path, count: int = 8) -> Path:
    """Write toy studies: the first two segmented, the second with boxes."""
    specs = []
    for number in range(count):
        study = toy_study(number, toy_broken(number), segmented=number < 2)
        boxes = ((10.0, 8.0, 12.0, 6.0, 2),) if number == 1 else ()
        broken = tuple(CERVICAL[k] for k in toy_broken(number))
        mask = study.labels or False
        specs.append(StudySpec(f"1.2.{number + 1}", broken, mask=mask, volume=study.volume, extra_boxes=boxes))
    return write_tree(root, specs)


@pytest.fixture(scope="module")
def rsna(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tree(tmp_path_factory.mktemp("rsna"))


def test_labels_of_slices_are_those_of_the_image_export() -> None:
    for study, broken in ((toy_study(1, (3,)), (3,)), (toy_study(2, (0,), boxed=True), (0,)), (toy_study(3, ()), ())):
        stack = make_stack(study, toy_targets(broken), PLAN)
        told = list(label_slices(study, StudyLabels(bool(broken), frozenset(CERVICAL[k] for k in broken))))
        assert stack.fractured.tolist() == [float(label.fractured) for label in told]
        assert stack.levels.tolist() == [[float(bool(v)) for v in label.levels] for label in told]
        assert stack.weak.tolist() == [label.source.weak and label.fractured for label in told]
        assert [set(np.flatnonzero(row)) for row in stack.visible] == [
            {int(v) - 1 for v in label.visible or ()} for label in told
        ]


def test_what_is_not_known_is_not_a_number() -> None:
    stack = toy_stack(0, (2,), segmented=False)
    assert np.isnan(stack.visible).all()
    assert np.isnan(stack.levels).all()
    assert stack.fractured.all()
    assert stack.weak.all()
    assert stack.mask is None


def test_slices_are_square_padded_and_thinned_by_distance() -> None:
    study = toy_study(0, ())
    wide = replace(study, volume=study.volume.crop(_box(study, columns=20)), labels=None)
    stack = make_stack(wide, toy_targets(()), StackPlan(size=64, step_mm=8.0))
    assert stack.pixels.shape == (14, 64, 64)
    assert (stack.pixels[:, :, :10] == 0).all()
    assert stack.numbers.tolist() == list(range(1, 28, 2))
    assert stack.whole_slices == 28
    assert stack.spacing_mm == pytest.approx((4.0, 2.0, 2.0))


def test_a_box_keeps_its_place_in_pixels_of_the_stack() -> None:
    stack = make_stack(toy_study(4, (1,), boxed=True), toy_targets((1,)), StackPlan(size=64))
    assert len(stack.boxes) == PER_LEVEL
    assert stack.boxes[0].tolist() == pytest.approx([4, 4, 12, 28, 52, 1], abs=1e-4)


def test_a_set_on_disk_is_read_cached_and_says_that_it_is_phantom(rsna: Path, tmp_path: Path) -> None:
    said: list[str] = []
    first = read_stacks(rsna, PLAN, cache=tmp_path, say=said.append)
    again = read_stacks(rsna, PLAN, cache=tmp_path)
    memory = read_stacks(rsna, PLAN)
    assert first.digest == again.digest == memory.digest
    assert isinstance(again.stacks[0].pixels, np.memmap)
    assert first.origin.startswith("PHANTOM")
    assert said[-1] == "8 studies, 224 slices, 2 segmented"
    boxed = first.stacks[1]
    assert np.flatnonzero(boxed.fractured).tolist() == [1]
    assert boxed.boxes[0].tolist() == pytest.approx([1, 8, 10, 14, 22, 0], abs=1e-4)
    assert [s.uid for s in read_stacks(rsna, PLAN, only=["1.2.3"]).stacks] == ["1.2.3"]
    one = toy_stack(0, ())
    np.testing.assert_array_equal(first.stacks[0].pixels, one.pixels)


def test_one_cache_keeps_stacks_of_several_windows_apart(rsna: Path, tmp_path: Path) -> None:
    bone = read_stacks(rsna, PLAN, cache=tmp_path)
    before = bone.stacks[0].pixels.copy()
    soft = read_stacks(rsna, replace(PLAN, window="soft"), cache=tmp_path)
    assert (np.asarray(bone.stacks[0].pixels) == before).all()
    assert (np.asarray(soft.stacks[0].pixels) != before).any()
    told: list[str] = []
    again = read_stacks(rsna, PLAN, cache=tmp_path, say=told.append)
    assert (np.asarray(again.stacks[0].pixels) == before).all()
    assert len(list(tmp_path.iterdir())) == 2


def test_a_set_without_the_columns_of_the_labels_or_with_odd_cells_is_refused(rsna: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no column any"):
        read_stacks(rsna, PLAN, LUMBAR)
    with pytest.raises(NoImages, match="neither train_images"):
        read_stacks(tmp_path, PLAN)
    odd = tree(tmp_path / "odd", 2)
    text = (odd / "train.csv").read_text().replace("1.2.2,1,1", "1.2.2,1,maybe")
    (odd / "train.csv").write_text(text)
    with pytest.raises(ConfigError, match="line 3 holds 'maybe'"):
        read_stacks(odd, PLAN)


def test_other_levels_are_data_not_code(tmp_path: Path) -> None:
    path = tmp_path / "lumbar.json"
    path.write_text(json.dumps({"name": "lumbar", "overall": "any", "levels": {"L1": 20, "L2": 21, "L3": 22}}))
    assert label_set_named(str(path)) == LUMBAR
    assert label_set_named("cervical") is CERVICAL_FRACTURES
    study = toy_study(0, (1,), values=LUMBAR.values)
    specs = [StudySpec("1.2.9", volume=study.volume, mask=study.labels or False)]
    root = write_tree(tmp_path / "set", specs)
    (root / "train.csv").write_text("StudyInstanceUID,any,L1,L2,L3\n1.2.9,1,0,1,0\n")
    stack = read_stacks(root, PLAN, LUMBAR).stacks[0]
    assert stack.levels.sum(axis=0).tolist() == [0, PER_LEVEL, 0]
    assert sorted(np.unique(stack.mask)) == [0, 1, 2, 3]
    for broken, words in {"cervicl": "did you mean 'cervical'", "none.json": "is no label set"}.items():
        with pytest.raises(ConfigError, match=words):
            label_set_named(broken)
    with pytest.raises(ConfigError, match="mask value of its own"):
        LabelSet("x", "any", ("L1", "L2"), (1, 1))


def test_every_study_is_tested_once_and_stays_whole() -> None:
    stacks = toy_set(12)
    folds = fold_parts(stacks, 3)
    assert sorted(n for parts in folds for n in parts.stacks("test")) == list(range(12))
    for parts in folds:
        sides = [set(parts.stacks(part)) for part in ("train", "valid", "test")]
        assert not sides[0] & sides[1] | sides[0] & sides[2] | sides[1] & sides[2]
        assert sum(len(part) for part in (parts.train, parts.valid, parts.test)) == 12 * 28
        assert not parts.mark


def test_studies_of_a_patient_or_with_a_common_slice_stay_together() -> None:
    stacks = list(toy_set(12).stacks)
    stacks[5] = replace(stacks[5], patient="p")
    stacks[8] = replace(stacks[8], patient="p")
    copied = stacks[1].hashes.copy()
    copied[3] = stacks[6].hashes[20]
    stacks[1] = replace(stacks[1], hashes=copied)
    made = StackSet(tuple(stacks))
    groups = study_groups(made)
    assert groups[5] == groups[8]
    assert groups[1] == groups[6]
    assert len(set(groups)) == 10
    for parts in (*fold_parts(made, 3), held_out(made, (0.3, 0.3))):
        for part in ("train", "valid", "test"):
            assert ({5, 8} <= set(parts.stacks(part))) or not {5, 8} & set(parts.stacks(part))


def test_impossible_and_ungrouped_divisions_are_refused(tmp_path: Path) -> None:
    stacks = toy_set(8)
    with pytest.raises(ConfigError, match="use from 3 to 8 folds"):
        fold_parts(stacks, 9)
    with pytest.raises(ConfigError, match="4 positive and 4 negative studies cannot stand in each of 5 folds"):
        fold_parts(stacks, 5)
    with pytest.raises(ConfigError, match="must be above 0"):
        held_out(stacks, (0.6, 0.6))
    barred = StackSet(tuple(replace(s, family="B") for s in stacks.stacks))
    with pytest.raises(ConfigError, match="family B only evaluates"):
        fold_parts(barred, 3)


def test_a_division_by_image_leaks_and_says_so() -> None:
    parts = image_parts(toy_set(6), (0.2, 0.2))
    assert parts.mark.startswith("LEAKY")
    assert set(parts.stacks("train")) & set(parts.stacks("test"))


def test_a_split_file_is_followed_and_a_leaky_one_refused(tmp_path: Path) -> None:
    from cspine.datasets import Split, write_split  # noqa: PLC0415  # beside its use

    stacks = toy_set(8)
    uids = [s.uid for s in stacks.stacks]
    honest = Split(
        "80/10/10", "study", 0, {"train": tuple(uids[:4]), "validation": tuple(uids[4:6]), "test": tuple(uids[6:])}, {}
    )
    write_split(honest, tmp_path / "split.json")
    parts = parts_of_split(stacks, tmp_path / "split.json")
    assert parts.stacks("test") == (6, 7)
    together = StackSet(tuple(replace(s, patient="p") if n in (3, 7) else s for n, s in enumerate(stacks.stacks)))
    with pytest.raises(ConfigError, match="folds must be grouped"):
        parts_of_split(together, tmp_path / "split.json")
    keys = [f"train_images/{uid}/{k}.dcm" for uid in uids for k in range(1, 29)]
    leaky = Split(
        "80/10/10",
        "image",
        0,
        {"train": tuple(keys[::2]), "validation": tuple(keys[1::4]), "test": tuple(keys[3::4])},
        {},
    )
    write_split(leaky, tmp_path / "leaky.json")
    with pytest.raises(ConfigError, match="LEAKY"):
        parts_of_split(stacks, tmp_path / "leaky.json")
    assert parts_of_split(stacks, tmp_path / "leaky.json", allow_leaky=True).mark.startswith("LEAKY")


def test_samples_give_slices_alone_or_between_their_neighbors() -> None:
    stacks = toy_set(4)
    refs = np.array([[0, 5], [3, 27]])
    labels = visible_targets(stacks, refs)
    assert labels[0].tolist() == [0, 1, 0, 0, 0, 0, 0]
    assert level_targets(stacks, refs)[1].tolist() == [0, 0, 0, 0, 0, 0, 0]
    gray = SliceSamples(stacks, refs, labels, START).plain(0)
    assert gray.shape == (3, SIZE, SIZE)
    torch.testing.assert_close(gray[0], gray[2])
    between = SliceSamples(stacks, refs, labels, START, channels="neighbors").plain(1)
    np.testing.assert_allclose(between[0].numpy() * 255, stacks.stacks[3].pixels[26], atol=1e-4)
    torch.testing.assert_close(between[1], between[2])  # the last slice has no neighbor below
    assert SliceSamples(stacks, refs, labels, START, size=48).draw(0, np.random.default_rng(0)).shape == (3, 48, 48)
    with pytest.raises(ConfigError, match="unknown channels"):
        SliceSamples(stacks, refs, labels, START, channels="rgb")


@pytest.mark.slow  # about 15 s: one phantom
def test_phantoms_are_made_on_the_fly_and_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = PhantomPlan(
        1, 3, matrix=32, finest_mm=5.0, fractures=("spinous-process@C7:5",), rsna=RsnaOptions(segmented_share=1.0)
    )
    stacks = phantom_stacks(plan, StackPlan(size=32))
    (stack,) = stacks.stacks
    assert stacks.origin.startswith("PHANTOM")
    assert stack.targets.tolist() == [1, 0, 0, 0, 0, 0, 0, 1]
    assert stack.mask is not None
    assert len(stack.boxes) == int(stack.fractured.sum())
    assert not list(tmp_path.iterdir())


def _box(study: object, columns: int) -> object:
    from cspine.domain import Box  # noqa: PLC0415  # beside its use

    return Box((0, 0, 6), (28, SIZE, 6 + columns))
