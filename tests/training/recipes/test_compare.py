"""`cspine experiment compare` on runs with known answers: the same cases only, paired, DeLong by study."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cspine.cli.main import app
from cspine.domain import ConfigError
from cspine.evaluation import delong, roc_auc
from cspine.training.recipes.answers import Answered, StudyAnswers, write_answers
from cspine.training.recipes.compare import compare_runs
from cspine.training.recipes.compared import ComparedRun, aligned, read_run
from cspine.training.recipes.run_names import short_names

STUDIES = tuple(f"1.2.{n}" for n in range(40))
TRUTH = (np.random.default_rng(3).random((40, 3)) < 0.4).astype(np.float32)
TRUTH[:, 0] = TRUTH[:, 1:].max(axis=1)


def noisy(seed: int, spread: float) -> np.ndarray:
    """Return answers that are the better the smaller the spread."""
    drawn = np.random.default_rng(seed).normal(0, spread, TRUTH.shape)
    return np.asarray(1 / (1 + np.exp(-(2 * TRUTH - 1 + drawn))), dtype=np.float32)


def write_run(
    folder: Path, recipe: str, labels: tuple[str, ...], test: Answered | StudyAnswers, mark: str = ""
) -> Path:
    folder.mkdir(parents=True)
    write_answers(folder / "predictions.csv", labels, {"test": test})
    document = {"recipe": recipe, "config": {}, "data": "x", "split": "held out, grouped by patient"}
    (folder / "recipe.json").write_text(json.dumps(document))
    about = {"mark": mark, "origin": "PHANTOM: all 40 studies are computed, no patient"}
    (folder / "result.json").write_text(json.dumps(about))
    return folder


def whole(folder: Path, seed: int, spread: float, order: np.ndarray | None = None) -> Path:
    chosen = np.arange(40) if order is None else order
    answers = StudyAnswers(tuple(STUDIES[k] for k in chosen), TRUTH[chosen], noisy(seed, spread)[chosen])
    return write_run(folder, "winner-2022", ("patient_overall", "C1", "C2"), answers)


def sliced(folder: Path, label: str, truth: np.ndarray, seed: int) -> Path:
    """Write four slices a study, of which the last is positive where the study is."""
    p = noisy(seed, 1.0)[:, 0]
    positive = np.stack([np.zeros(40), np.zeros(40), np.zeros(40), truth], axis=1).reshape(-1, 1)
    scores = np.stack([p * 0.1, p * 0.2, p * 0.3, p], axis=1).reshape(-1, 1)
    names = tuple(uid for uid in STUDIES for _ in range(4))
    answered = Answered(names, tuple(range(4)) * 40, positive.astype(np.float32), scores.astype(np.float32))
    return write_run(folder, "vertebra-slices", (label,), answered)


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_two_runs_are_paired_study_by_study_whatever_their_order(tmp_path: Path) -> None:
    good = whole(tmp_path / "good", 1, 0.5)
    bad = whole(tmp_path / "bad", 2, 3.0, np.random.default_rng(0).permutation(40))
    page = compare_runs([good, bad], tmp_path / "out", "cspine experiment compare").read_text()
    assert "PHANTOM: all 40 studies" in page
    assert f"winner-2022, bad: {bad}; 40 studies" in page
    runs, gaps = rows_of(tmp_path / "out/studies.csv"), rows_of(tmp_path / "out/studies_differences.csv")
    assert [row["label"] for row in gaps] == ["overall", "C1", "C2", "all levels"]
    expected = delong(TRUTH[:, 0], noisy(1, 0.5)[:, 0], noisy(2, 3.0)[:, 0])
    first = gaps[0]
    assert float(first["delong_auc"]) == pytest.approx(expected.difference.value, abs=1e-6)
    assert float(first["auc"]) == pytest.approx(expected.difference.value, abs=1e-6)
    assert float(first["p"]) == pytest.approx(expected.p_value, rel=1e-3)
    assert float(first["p_holm"]) == pytest.approx(float(first["p"]))
    assert float(first["auc_low"]) > 0 > float(first["log_loss_high"])
    assert float(runs[0]["auc"]) == pytest.approx(roc_auc(TRUTH[:, 0], noisy(1, 0.5)[:, 0]), abs=1e-6)
    assert gaps[3]["p"] == ""
    answers = rows_of(tmp_path / "out/answers.csv")
    assert len(answers) == 40 * 3
    assert float(answers[0]["winner-2022, bad"]) == pytest.approx(noisy(2, 3.0)[0, 0], abs=1e-6)


def test_p_values_are_adjusted_for_the_number_of_pairs(tmp_path: Path) -> None:
    runs = [whole(tmp_path / f"run{k}", k, 1.0 + k) for k in range(3)]
    compare_runs(runs, tmp_path / "out")
    rows = [row for row in rows_of(tmp_path / "out/studies_differences.csv") if row["label"] == "C1"]
    plain, adjusted = (sorted(float(row[key]) for row in rows) for key in ("p", "p_holm"))
    assert len(rows) == 3
    assert adjusted[0] == pytest.approx(min(1.0, 3 * plain[0]))
    assert adjusted[1] == pytest.approx(max(adjusted[0], min(1.0, 2 * plain[1])))


def test_slices_are_pooled_beside_studies_and_compared_as_slices_beside_slices(tmp_path: Path) -> None:
    one, two = (sliced(tmp_path / name, "fracture", TRUTH[:, 0], seed) for name, seed in (("a", 5), ("b", 6)))
    pooled = read_run(one).pooled()
    assert pooled.labels == ("overall",)
    assert pooled.cases == tuple(sorted(STUDIES))
    np.testing.assert_array_equal(pooled.truth[:, 0], TRUTH[np.argsort(STUDIES), 0])
    compare_runs([one, whole(tmp_path / "w", 1, 1.0)], tmp_path / "mixed")
    assert not (tmp_path / "mixed/cases.csv").exists()
    compare_runs([one, two], tmp_path / "slices")
    (gap,) = rows_of(tmp_path / "slices/cases_differences.csv")
    assert gap["p"] == ""
    assert {row["cases"] for row in rows_of(tmp_path / "slices/cases.csv")} == {"160"}


def test_runs_with_folds_are_joined(tmp_path: Path) -> None:
    for k in range(4):
        whole(tmp_path / "folds" / f"fold-{k + 1}" / "supervised", 7, 1.0, np.arange(10 * k, 10 * k + 10))
    run = read_run(tmp_path / "folds")
    assert run.split == "4 folds"
    aligned([run.pooled(), read_run(whole(tmp_path / "once", 8, 1.0)).pooled()])


def named(*runs: tuple[str, str, dict[str, object]]) -> tuple[str, ...]:
    """Return the names of runs of which folder, recipe and settings are given."""
    whole = ComparedRun("", "", {}, ("overall",), (), (), TRUTH, TRUTH, "top", "", "", "")
    return short_names([replace(whole, name=f, recipe=r, settings=s) for f, r, s in runs])


def test_a_run_is_called_by_its_recipe_and_by_what_sets_it_apart_from_others_of_it() -> None:
    plain = {"variant": "b0", "fit.epochs": "5", "seed": "0"}
    assert named(("a/x", "winner-2022", {}), ("b/x", "efficientnet-c1", plain)) == ("winner-2022", "efficientnet-c1")
    two = named(
        ("a", "efficientnet-c1", plain), ("b", "efficientnet-c1", plain | {"variant": "b3"}), ("c", "other", {})
    )
    assert two == ("efficientnet-c1, variant=b0", "efficientnet-c1, variant=b3", "other")
    four = [plain | {"variant": v, "seed": s} for v in ("b0", "b3") for s in ("0", "1")]
    assert named(*((str(k), "efficientnet-c1", values) for k, values in enumerate(four)))[3] == (
        "efficientnet-c1, variant=b3, seed=1"
    )


def test_equal_settings_are_told_apart_by_the_end_of_the_folder() -> None:
    empty: dict[str, object] = {}
    runs = (("/data/one/run", "x", empty), ("/data/two/run", "x", empty))
    assert named(*runs) == ("x, one/run", "x, two/run")
    files = [("c", "x", {"weights": "/weights/mobile.npz"}), ("d", "x", {"weights": "none"})]
    assert named(*files) == ("x, weights=mobile.npz", "x, weights=none")
    older: tuple[str, str, dict[str, object]] = ("/data/two/run", "x", {"augment": "none"})
    assert named(runs[0], older) == ("x, augment=default", "x, augment=none")


def test_other_cases_other_questions_and_unfinished_runs_are_refused(tmp_path: Path) -> None:
    run = whole(tmp_path / "run", 1, 1.0)
    part = whole(tmp_path / "part", 1, 1.0, np.arange(37))
    with pytest.raises(ConfigError, match=r"part was tested on other cases than .*run: 3 are missing \(such as"):
        compare_runs([run, part], tmp_path / "out")
    other = sliced(tmp_path / "other", "fracture", 1 - TRUTH[:, 0], 2)
    with pytest.raises(ConfigError, match=r"other answers another question than .*run: overall of 1.2.0 is"):
        compare_runs([run, other], tmp_path / "out")
    with pytest.raises(ConfigError, match=r"no label in common \(.*run: overall, C1, C2; .*t1: T1\)"):
        compare_runs([run, sliced(tmp_path / "t1", "T1", TRUTH[:, 0], 2)], tmp_path / "out")
    with pytest.raises(ConfigError, match="1 different runs: a comparison needs at least 2, each once"):
        compare_runs([run, run], tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="empty: not a finished run"):
        compare_runs([run, tmp_path / "empty"], tmp_path / "out")


def test_the_command_marks_a_leaky_run(tmp_path: Path) -> None:
    run = whole(tmp_path / "run", 1, 1.0)
    answers = StudyAnswers(STUDIES, TRUTH, noisy(4, 1.0))
    leaky = write_run(tmp_path / "leaky", "x", ("patient_overall", "C1", "C2"), answers, "LEAKY SPLIT (by image)")
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["experiment", "compare", str(run), str(leaky), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert '<p class="alarm">x: LEAKY SPLIT (by image)' in (out / "index.html").read_text()
    missing = CliRunner().invoke(app, ["experiment", "compare", str(run), "--out", str(out)])
    assert missing.exit_code == 2
    assert "at least 2" in missing.stderr
