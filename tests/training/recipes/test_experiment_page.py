"""The page of an experiment shows what its CSV files hold, and says first where the images come from."""

import csv
from pathlib import Path

import pytest

from cspine.evaluation import Estimate
from cspine.training.recipes.experiment_page import (
    ExperimentPage,
    PageOrigin,
    PagePicture,
    PageSection,
    PageTable,
    write_experiment,
)

TABLE = PageTable(
    "figures",
    "Figures",
    ("network", "n", "accuracy", "paper_accuracy"),
    (("a <b>", 1200, Estimate(0.5, 0.4, 0.6, 10), 0.9), ("none", 3, None, None), ("nan", 3, float("nan"), 0.25)),
    note="A note.",
    paper=frozenset({"paper_accuracy"}),
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sections = (
        PageSection("Results", ("Some words.",), (TABLE,), (PagePicture(b"x", "video/mp4", "a film", "Seen."),)),
        PageSection("More", (), (PageTable("long", "Long", ("k",), ((1,),), shown=False),)),
    )
    origin = PageOrigin("PHANTOM: all 3 studies", "by image", ("LEAKY SPLIT",), "cspine experiment x")
    made = ExperimentPage("x", "what is asked?", "Lead.", origin, ("fact",), sections)
    return write_experiment(made, tmp_path_factory.mktemp("page"))


def test_the_page_loads_nothing_and_says_origin_split_and_warning_before_any_figure(page: Path):
    text = page.read_text()
    head, rest = text.split("<h2>Results</h2>")
    assert "PHANTOM: all 3 studies" in head
    assert '<p class="alarm">LEAKY SPLIT</p>' in head
    assert "http" not in text
    assert '<video controls loop muted playsinline src="data:video/mp4;base64,eA=="' in rest
    assert "cspine experiment x" in rest


def test_a_table_is_shown_as_it_stands_in_its_file(page: Path):
    text = page.read_text()
    assert "<td>a &lt;b&gt;</td><td>1,200</td><td>0.500 (0.400–0.600)</td>" in text
    assert "<td>none</td><td>3</td><td>–</td>" in text
    rows = list(csv.DictReader((page.parent / "figures.csv").read_text().splitlines()))
    assert rows[0] == {
        "network": "a <b>",
        "n": "1200",
        "accuracy": "0.5",
        "accuracy_low": "0.4",
        "accuracy_high": "0.6",
        "paper_accuracy": "0.9",
    }
    assert rows[1]["accuracy"] == ""


def test_a_table_that_is_only_a_file_is_named_but_not_shown(page: Path):
    assert "Long" not in page.read_text()
    assert "figures.csv, long.csv" in page.read_text()
    assert (page.parent / "long.csv").read_text() == "k\n1\n"
