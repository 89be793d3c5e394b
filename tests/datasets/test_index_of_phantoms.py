"""The index of a folder that `write_rsna` made says what is true of the phantoms in it."""

import json
from pathlib import Path

import pytest

from cspine.datasets import RsnaCase, RsnaIndex, RsnaOptions, index_rsna, write_rsna
from cspine.domain import Vertebra
from cspine.phantom import Fracture, FractureType, PhantomSpec
from tests.datasets.coded_fractures import coded_with_fractures

FRACTURES = ((Fracture(FractureType.DENS_II, Vertebra.C2, 4), Fracture(FractureType.BURST, Vertebra.C5, 2)), (), ())


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> RsnaIndex:
    root = tmp_path_factory.mktemp("phantoms") / "set"
    options = RsnaOptions(segmented_share=1.0, mixed_share=1.0, monochrome1_share=1.0, test_share=0.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cspine.datasets.rsna_study.make_case", coded_with_fractures)
        cases = [RsnaCase.of_spec(f"case-{k}", PhantomSpec(seed=k, fractures=f)) for k, f in enumerate(FRACTURES)]
        write_rsna(cases, root, options)
    return index_rsna(root).index


def test_labels_and_boxes_are_those_of_the_truth(index):
    assert len(index.studies) == len(FRACTURES)
    for row in index.studies.to_dict("records"):
        truth = json.loads((index.root / "truth" / f"{row['StudyInstanceUID']}.json").read_text())
        assert {name: row[name] for name in truth["rsna"]["labels"]} == truth["rsna"]["labels"]
        assert row["boxes"] == len(truth["boxes"])


def test_the_quirks_are_told_and_no_mask_is_called_wrong(index):
    studies = index.studies
    assert set(studies["PhotometricInterpretation"]) == {"MONOCHROME1"}
    assert (studies["shapes"] == 2).all()
    assert studies["mask_fits"].all()
    assert studies["usable"].all()
    assert index.problems.empty


def test_every_slice_of_the_folder_is_there_from_head_to_foot(index):
    files = {p.relative_to(index.root).as_posix() for p in Path(index.root, "train_images").rglob("*.dcm")}
    assert set(index.slices["file"]) == files
    for _, slices in index.slices.groupby("StudyInstanceUID", observed=True):
        assert slices["z_mm"].is_monotonic_decreasing
        assert list(slices["place"]) == list(range(len(slices)))
