"""Answered studies become a set in the layout of RSNA 2022 that trainings read, without what points to the patients."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cspine.cli.main import app
from cspine.datasets import join_sets
from cspine.domain import ConfigError, NoImages, Vertebra
from cspine.service import Role, open_feedback, write_set
from cspine.training.stacks import StackPlan, read_stacks
from tests.service.builders import ROOT_UID, neck, write_neck


@pytest.fixture
def answered(place, tmp_path):
    """Return a place with two answered studies: a real one with a fracture of C5 that was confirmed, and a phantom."""
    client = place.client(Role.OPERATOR)
    secret_patient = {"is_phantom": False, "patient_name": "Doe^Jane", "patient_id": "MRN-1", "study_description": "CT"}
    for number, header in ((1, secret_patient), (2, {})):
        place.teller.fractured = (Vertebra.C5,) if number == 1 else ()
        place.parts.spool.take_folder(write_neck(tmp_path / f"in-{number}", number, **header), "test")
        place.work()
    for row in client.get("/api/studies").json()["studies"]:
        fractured = row["decision"] == "rule-in"
        said = {"location": 0, "verdict": "confirm"} if fractured else {"verdict": "absent"}
        url = f"/api/studies/{row['id']}/feedback"
        assert client.post(url, json={"vertebra": "C5"} | said).status_code == 201
    return place


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_training_reads_the_exported_set(answered, tmp_path):
    out = tmp_path / "set"
    counts = write_set(answered.config, open_feedback(answered.config), out)
    assert (counts.studies, counts.left_out) == (2, 0)
    stacks = read_stacks(out, StackPlan())
    labels = {stack.uid: stack.targets.tolist() for stack in stacks.stacks}
    assert sorted(labels.values()) == [[0.0] * 8, [1.0, 0, 0, 0, 0, 1.0, 0, 0]]
    assert labels[f"{ROOT_UID}.2"] == [0.0] * 8
    assert all(stack.mask is not None for stack in stacks.stacks)
    boxes = _rows(out / "train_bounding_boxes.csv")
    assert counts.boxes == len(boxes) == pytest.approx(12 / neck()[0].grid.spacing_mm[0], abs=1)
    images = {path.stem for path in (out / "train_images" / boxes[0]["StudyInstanceUID"]).iterdir()}
    assert {row["slice_number"] for row in boxes} <= images


def test_nothing_in_it_points_to_the_patient_and_pseudonyms_last(answered, tmp_path):
    for name in ("one", "two"):
        write_set(answered.config, open_feedback(answered.config), tmp_path / name)
    one, two = (sorted(p.relative_to(tmp_path / n).as_posix() for p in (tmp_path / n).rglob("*"))
                for n in ("one", "two"))  # fmt: skip
    assert one == two
    real = next(p for p in (tmp_path / "one" / "train_images").iterdir() if p.name != f"{ROOT_UID}.2")
    content = b"".join(path.read_bytes() for path in real.iterdir())
    assert not [word for word in (b"Doe", b"MRN-1", f"{ROOT_UID}.1".encode(), b"20240305") if word in content]


def test_it_is_joined_to_a_set_that_is_there_and_its_answers_count(answered, tmp_path):
    first, both = tmp_path / "first", tmp_path / "both"
    write_set(answered.config, open_feedback(answered.config), first)
    rows = _rows(first / "train.csv")
    other = tmp_path / "other"
    (other / "train_images").mkdir(parents=True)
    shutil.copytree(first / "train_images" / f"{ROOT_UID}.2", other / "train_images" / "1.2.3")
    head = "StudyInstanceUID,patient_overall,C1,C2,C3,C4,C5,C6,C7\n"
    (other / "train.csv").write_text(f"{head}1.2.3,1,1,0,0,0,0,0,0\n{ROOT_UID}.2,1,1,1,1,1,1,1,1\n")
    (other / "train_bounding_boxes.csv").write_text("StudyInstanceUID,x,y,width,height,slice_number\n1.2.3,1,2,3,4,5\n")
    assert join_sets((other, first), both) == 3
    joined = {row["StudyInstanceUID"]: row for row in _rows(both / "train.csv")}
    assert joined == {row["StudyInstanceUID"]: row for row in [_rows(other / "train.csv")[0], *rows]}
    assert _rows(both / "train_bounding_boxes.csv")[0]["x"] == "1"
    assert len(list((both / "train_images").iterdir())) == 3
    assert len(list((both / "segmentations").iterdir())) == 2
    with pytest.raises(ConfigError, match="is not empty"):
        join_sets((other, first), both)
    with pytest.raises(ConfigError, match="is not empty"):
        write_set(answered.config, open_feedback(answered.config), both)
    with pytest.raises(NoImages, match="sets in the layout"):
        join_sets((tmp_path / "nothing",), tmp_path / "new")


def test_the_flagship_is_given_both_sets_as_one_and_again_the_same(answered, tmp_path, monkeypatch):
    own, run = tmp_path / "own", tmp_path / "run"
    write_set(answered.config, open_feedback(answered.config), tmp_path / "answers")
    shutil.copytree(tmp_path / "answers", own)
    (own / "train.csv").write_text((own / "train.csv").read_text().replace(f"{ROOT_UID}.2", "1.2.3"))
    given: list[Path] = []

    def train(recipe: object, root: Path, *_: object, place: object) -> None:
        given.append(root)
        raise ConfigError("enough")

    monkeypatch.setattr("cspine.training.train_flagship", train)
    how = ["train", "flagship", "--data", own, "--add-feedback", tmp_path / "answers", "--run", run]
    for _ in range(2):
        done = CliRunner().invoke(app, [str(word) for word in how])
        assert "enough" in done.output
    assert given == [run / "own+answers"] * 2
    assert len(_rows(given[0] / "train.csv")) == 3


def test_the_command_says_what_it_wrote_and_warns_of_faces(answered, tmp_path):
    config = tmp_path / "cspine.toml"
    config.write_text(f'data_dir = "{answered.config.data_dir}"\n')
    done = CliRunner().invoke(app, ["feedback", "export", str(tmp_path / "set"), "--config", str(config)])
    assert done.exit_code == 0, done.output
    assert "2 studies with" in done.output
    assert "A face can still be computed" in done.output
    assert np.all([(tmp_path / "set" / name).exists() for name in ("train.csv", "segmentations", "train_images")])
