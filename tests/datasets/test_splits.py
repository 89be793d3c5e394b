"""Splits: no patient crosses them, levels are spread evenly, and what leaks says so wherever it is read."""

import json
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from cspine.datasets import (
    Leak,
    LeakKind,
    LeakReport,
    duplicates_of,
    index_rsna,
    labeled_studies,
    leaks_path,
    read_leaks,
    read_split,
    select,
    selected,
    split_images,
    split_studies,
    split_table,
    trainable_split,
    write_leaks,
    write_selection,
    write_split,
)
from cspine.domain import ConfigError, InputError, NoImages
from tests.datasets.rsna_builders import TARGETS, TinyStudy, write_tree

UID = "StudyInstanceUID"


def studies(count: int = 400, patients: int | None = None, seed: int = 0) -> pd.DataFrame:
    """Return studies with the levels' rates of the challenge, every tenth patient with two studies."""
    rng = np.random.default_rng(seed)
    rates = (0.072, 0.141, 0.036, 0.054, 0.080, 0.137, 0.195)
    levels = (rng.random((count, 7)) < rates).astype(int)
    table = pd.DataFrame(levels, columns=TARGETS[1:]).astype("Int8")
    table.insert(0, "patient_overall", pd.Series(levels.max(axis=1)).astype("Int8"))
    table.insert(0, UID, [f"1.2.{k:05d}" for k in rng.permutation(count)])
    table.insert(1, "PatientID", [f"p{k % (patients or count * 10 // 11)}" for k in range(count)])
    return table


SCHEMES = {
    "90/5/5": {"train": 0.9, "validation": 0.05, "test": 0.05},
    "80/10/10": {"train": 0.8, "validation": 0.1, "test": 0.1},
    "90/10": {"train": 0.9, "test": 0.1},
    "80/20": {"train": 0.8, "test": 0.2},
    "5-fold": {f"fold-{k}": 0.2 for k in range(5)},
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_study_is_in_one_part_and_the_parts_have_their_shares(scheme):
    table = studies()
    split = split_studies(table, scheme)
    keys = [uid for part in split.parts.values() for uid in part]
    assert sorted(keys) == sorted(table[UID])
    assert set(split.parts) == set(SCHEMES[scheme])
    for part, share in SCHEMES[scheme].items():
        assert len(split.parts[part]) / len(table) == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_patient_crosses_a_split(scheme):
    table = studies()
    part_of = split_studies(table, scheme, seed=3).part_of()
    crossing = table.assign(part=table[UID].map(part_of)).groupby("PatientID")["part"].nunique()
    assert (table.groupby("PatientID").size() > 1).sum() > 30
    assert crossing.max() == 1


def test_known_duplicates_stay_together():
    table = studies()
    chain = list(table[UID][:6])
    split = split_studies(table, "5-fold", duplicates=list(pairwise(chain)))
    assert len({split.part_of()[uid] for uid in chain}) == 1


def test_levels_are_spread_evenly():
    split = split_studies(studies(2000), "5-fold")
    for target in TARGETS:
        shares = [split.prevalence[part][target] or 0.0 for part in split.parts]
        assert max(shares) - min(shares) < 0.025, target


def test_equal_seeds_make_equal_splits_and_others_do_not():
    table = studies()
    assert split_studies(table, "90/10", 1) == split_studies(table.sample(frac=1, random_state=5), "90/10", 1)
    assert split_studies(table, "90/10", 1).hash != split_studies(table, "90/10", 2).hash


def test_rare_patterns_and_unknown_labels_do_not_stop_a_split():
    table = studies(30, patients=30)
    table.loc[:4, "C1"] = pd.NA
    split = split_studies(table, "80/20")
    assert sum(map(len, split.parts.values())) == 30
    every = studies(10, patients=10)
    every[list(TARGETS)] = pd.NA
    assert split_studies(every, "5-fold").prevalence["fold-0"]["C1"] is None


@pytest.mark.parametrize(
    ("count", "scheme", "message"),
    [
        (19, "90/5/5", "needs at least 20 studies of different patients, here are 19"),
        (9, "70/30", "unknown scheme '70/30'"),
    ],
)
def test_what_cannot_be_split_is_refused(count, scheme, message):
    with pytest.raises(ConfigError, match=message):
        split_studies(studies(count, patients=count), scheme)


def test_a_split_is_read_back_as_it_was_written(tmp_path):
    split = split_studies(studies(), "80/10/10")
    write_split(split, tmp_path / "split.json")
    assert read_split(tmp_path / "split.json") == split
    assert json.loads((tmp_path / "split.json").read_text())["hash"] == split.hash


@pytest.mark.parametrize("change", ["move", "mark", "schema", "text"])
def test_a_split_that_was_changed_by_hand_is_refused(tmp_path, change):
    path = tmp_path / "split.json"
    write_split(split_studies(studies(40, patients=40), "80/20"), path)
    content = json.loads(path.read_text())
    if change == "move":
        content["parts"]["train"].append(content["parts"]["test"].pop())
    if change == "mark":
        content["mark"] = "fine"
    if change == "schema":
        content["schema_version"] = "9"
    path.write_text("no JSON" if change == "text" else json.dumps(content))
    with pytest.raises(InputError, match="split"):
        read_split(path)


def test_an_absent_split_is_named(tmp_path):
    with pytest.raises(NoImages, match=r"split.json: cannot be read.*cspine data split"):
        read_split(tmp_path / "split.json")


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    tree = [TinyStudy(k, ("C2",) if k % 2 else ()) for k in range(1, 7)] + [TinyStudy(20574)]
    return index_rsna(write_tree(tmp_path_factory.mktemp("splits") / "tree", tree)).index


def test_a_split_by_image_carries_its_mark_into_the_file(index, tmp_path):
    table, slices = labeled_studies(index)
    split = split_images(slices, table, "90/5/5")
    assert sum(map(len, split.parts.values())) == 72
    assert len(split.parts["train"]) == pytest.approx(0.9 * 72, abs=1)
    assert set(split.studies_of("test")) & set(split.studies_of("train"))  # which is why it leaks
    assert split.mark.startswith("LEAKY SPLIT (by image)")
    write_split(split, tmp_path / "s.json")
    content = json.loads((tmp_path / "s.json").read_text())
    assert content["leaky"]
    assert content["mark"] == split.mark == read_split(tmp_path / "s.json").mark
    assert split_table(split)[0][:3] == ("part", "studies", "images")


def test_only_usable_studies_are_split(index):
    table, slices = labeled_studies(index)
    assert len(table) == 6
    assert slices[UID].nunique() == 6


def test_a_selection_narrows_what_is_split(index, tmp_path):
    write_selection(select(index, ["overall=1"]), tmp_path)
    table, slices = selected(index, tmp_path)
    assert (len(table), len(slices)) == (3, 36)
    with pytest.raises(NoImages, match="holds no selection"):
        selected(index, tmp_path / "nowhere")


def test_an_honest_split_is_trained_on_and_a_leaky_one_only_on_purpose(index, tmp_path):
    table, slices = labeled_studies(index)
    honest, leaky = tmp_path / "honest.json", tmp_path / "leaky.json"
    write_split(split_studies(table, "5-fold"), honest)
    write_split(split_images(slices, table, "80/20"), leaky)
    assert trainable_split(honest) == (read_split(honest), "")
    with pytest.raises(ConfigError, match=r"LEAKY SPLIT \(by image\).*not trained on"):
        trainable_split(leaky)
    assert trainable_split(leaky, allow_leaky=True)[1] == read_split(leaky).mark


def test_found_leaks_stop_the_training_on_that_split_only(tmp_path):
    table, path = studies(), tmp_path / "split.json"
    split = split_studies(table, "80/20")
    write_split(split, path)
    leak = Leak(LeakKind.SAME_STUDY, table[UID][0], table[UID][1], "train", "test", 12, 0.9)
    write_leaks(LeakReport(split.hash, 100, (leak,), ("x.dcm: broken",)), leaks_path(path))
    assert read_leaks(leaks_path(path)).leaks == (leak,)
    with pytest.raises(ConfigError, match="1 pairs of studies that are the same"):
        trainable_split(path)
    mended = split_studies(table, "80/20", duplicates=duplicates_of(leaks_path(path)))
    assert len({mended.part_of()[uid] for uid in (leak.one, leak.other)}) == 1
    write_split(split_studies(table, "80/20", seed=9), path)  # another split: the old leaks are not its own
    assert trainable_split(path)[1] == ""


def test_a_file_that_is_no_list_of_leaks_is_refused(tmp_path):
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(InputError, match="no list of leaks"):
        read_leaks(tmp_path / "x.json")
