"""Folders in the layout of RSNA 2022: what stands in the tables is what is true, in the quirks of the original."""

import csv
import hashlib
import json
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

from cspine.datasets import Layout, PhantomPlan, RsnaCase, RsnaOptions, Size, index_rsna, write_phantoms, write_rsna
from cspine.datasets.rsna_layout import draw_study, evenly, with_islands
from cspine.domain import CERVICAL, ConfigError, Grid, LabelMap, Rejected, Vertebra
from cspine.phantom import Fracture, FractureAge, FractureType, PhantomSpec, make_case
from cspine.stores import open_source
from tests.datasets.coded_fractures import SLOT_HU, coded_with_fractures

T, V = FractureType, Vertebra
KINDS = ("patient_overall", *(v.name for v in CERVICAL))
FRACTURES = (
    (Fracture(T.DENS_II, V.C2, 4), Fracture(T.BURST, V.C5, 2)),
    (),
    (Fracture(T.LAMINA, V.C3, 5, age=FractureAge.HEALED),),
    (Fracture(T.WEDGE, V.T1, 3),),
)


def case_of(number: int, fractures: tuple[Fracture, ...]) -> RsnaCase:
    spec = PhantomSpec(seed=number, fractures=fractures)
    return RsnaCase.of_spec(f"case-{number}", spec)


@pytest.fixture(scope="module", autouse=True)
def _fast_phantoms():
    with pytest.MonkeyPatch.context() as patch:
        for module in ("rsna_study", "phantom_studies"):
            patch.setattr(f"cspine.datasets.{module}.make_case", coded_with_fractures)
        yield


def four_cases() -> list[RsnaCase]:
    return [case_of(number, fractures) for number, fractures in enumerate(FRACTURES)]


OPTIONS = RsnaOptions(segmented_share=1 / 2, mixed_share=0.0, monochrome1_share=0.0)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("rsna") / "set"
    write_rsna(four_cases(), root, OPTIONS)
    return root


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def digests(root: Path) -> dict[str, str]:
    return {
        p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(root.rglob("*"))
        if p.is_file()
    }


def truths(root: Path) -> list[dict]:
    """Return the sidecars in the order of train.csv."""
    return [
        json.loads((root / "truth" / f"{r['StudyInstanceUID']}.json").read_text()) for r in rows(root / "train.csv")
    ]


def test_the_files_are_those_of_the_data_set(root):
    uids = [row["StudyInstanceUID"] for row in rows(root / "train.csv")]
    assert {p.name for p in root.iterdir()} == {
        "plan.json",
        "sample_submission.csv",
        "segmentations",
        "test.csv",
        "test_images",
        "train.csv",
        "train_bounding_boxes.csv",
        "train_images",
        "truth",
    }
    assert sorted(p.name for p in (root / "train_images").iterdir()) == sorted(uids)
    assert sorted(p.stem for p in (root / "segmentations").iterdir()) == sorted([uids[0], uids[2]])
    assert not list(root.glob(".making-*"))


def test_the_tables_have_the_columns_of_the_data_set(root):
    heads = {p.name: p.read_text().splitlines()[0] for p in root.glob("*.csv")}
    assert heads == {
        "train.csv": "StudyInstanceUID,patient_overall,C1,C2,C3,C4,C5,C6,C7",
        "train_bounding_boxes.csv": "StudyInstanceUID,x,y,width,height,slice_number",
        "test.csv": "row_id,StudyInstanceUID,prediction_type",
        "sample_submission.csv": "row_id,fractured",
    }


def test_healed_fractures_and_those_below_c7_are_no_labels(root):
    labels = [[int(row[kind]) for kind in KINDS] for row in rows(root / "train.csv")]
    assert labels == [[1, 0, 1, 0, 0, 1, 0, 0], [0] * 8, [0] * 8, [0] * 8]


def test_the_sidecar_tells_what_the_data_set_does_not(root):
    both, none, healed, thoracic = truths(root)
    assert [(f["type"], f["vertebra"], f["severity"], f["counted"]) for f in both["fractures"]] == [
        ("dens-ii", "C2", 4, True),
        ("burst", "C5", 2, True),
    ]
    assert {(b["vertebra"], b["type"], b["severity"]) for b in both["boxes"]} == {
        ("C2", "dens-ii", 4),
        ("C5", "burst", 2),
    }
    assert none["fractures"] == none["boxes"] == none["mimics"] == []
    assert [(m["kind"], m["vertebra"]) for m in healed["mimics"]] == [("healed-fracture", "C3")]
    assert healed["boxes"] == []
    assert thoracic["fractures"][0]["counted"] is False
    assert {b["counted"] for b in thoracic["boxes"]} == {False}
    assert both["name"] == "case-0"
    assert both["spec"]["seed"] == 0


def test_boxes_of_the_table_are_those_that_count(root):
    uid = rows(root / "train.csv")[0]["StudyInstanceUID"]
    table = rows(root / "train_bounding_boxes.csv")
    assert {row["StudyInstanceUID"] for row in table} == {uid}
    assert len(table) == len(truths(root)[0]["boxes"])
    assert all(len(row["x"].split(".")[1]) == 5 for row in table)


def test_a_box_lies_round_the_fracture_in_the_image_of_its_number(root):
    for row in rows(root / "train_bounding_boxes.csv"):
        image = pydicom.dcmread(root / "train_images" / row["StudyInstanceUID"] / f"{row['slice_number']}.dcm")
        assert image.InstanceNumber == int(row["slice_number"])
        assert image.file_meta.TransferSyntaxUID in ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.70")
    uid = rows(root / "train.csv")[0]["StudyInstanceUID"]
    with open_source(root / "train_images" / uid) as source:
        loaded = source.studies()[0].load()
    number = {ref.instance_number: k for k, ref in enumerate(loaded.slices)}
    for row in rows(root / "train_bounding_boxes.csv"):
        plane = loaded.volume.hu[number[int(row["slice_number"])]]
        x, y, width, height = (round(float(row[name])) for name in ("x", "y", "width", "height"))
        inside = plane[y : y + height, x : x + width]
        assert np.array_equal(inside, np.full_like(inside, SLOT_HU))
        around = plane[y - 1 : y + height + 1, x - 1 : x + width + 1].sum() - inside.sum()
        assert around / (2 * (width + height) + 4) > SLOT_HU + 100


def test_every_slice_of_a_fracture_has_a_box(root):
    both = truths(root)[0]
    mask = nibabel.load(root / "truth" / f"{both['study_uid']}-fractures.nii.gz")
    slices = [int((np.asarray(mask.dataobj) == value).any(axis=(0, 1)).sum()) for value in (1, 2)]
    assert [sum(b["fracture"] == k for b in both["boxes"]) for k in (0, 1)] == slices
    assert min(slices) > 1


def test_a_mask_lies_on_the_slices_from_head_to_foot_but_for_stray_islands(root):
    uid = rows(root / "train.csv")[0]["StudyInstanceUID"]
    stored = np.asarray(nibabel.load(root / "segmentations" / f"{uid}.nii").dataobj)
    mask = stored[:, ::-1, ::-1].transpose(2, 1, 0)
    true = coded_with_fractures(four_cases()[0].spec).labels.labels  # type: ignore[arg-type]  # it has one
    strays = (mask != true) & (mask > 0)
    assert (mask[~strays] == true[~strays]).all()
    assert 0 < strays.sum() < 200
    images = [pydicom.dcmread(p) for p in (root / "train_images" / uid).iterdir()]
    images.sort(key=lambda image: -float(image.ImagePositionPatient[2]))
    assert mask.shape == (len(images), images[0].Rows, images[0].Columns)


def test_images_say_that_they_are_phantoms(root):
    with open_source(root / "train_images") as source:
        loaded = [study.load() for study in source.studies()]
    assert len(loaded) == 4
    assert all(one.header.is_phantom and one.header.birth_date is None for one in loaded)


def test_both_directions_of_z_and_several_first_numbers_occur():
    draws = [draw_study(OPTIONS, f"2.25.{k}", k, (40, 64, 64)) for k in range(200)]
    backward = sum(draw.storage.numbering.backward for draw in draws)
    assert 20 < backward < 80
    assert {draw.storage.numbering.first for draw in draws} >= {0, 1, 2}
    assert {draw.storage.stored_as for draw in draws}.__len__() == 3
    assert not any(draw.storage.monochrome1 or draw.storage.trimmed for draw in draws)


def test_shares_are_kept_and_evenly_spread():
    assert [k for k in range(20) if evenly(k, 0.2, 0.0)] == [0, 5, 10, 15]
    assert [k for k in range(20) if evenly(k, 0.25, 0.5)] == [2, 6, 10, 14, 18]
    assert not any(evenly(k, 0.0, 0.0) for k in range(20))
    assert all(evenly(k, 1.0, 0.0) for k in range(20))
    assert sum(evenly(k, 87 / 2019, 0.0) for k in range(2019)) in (87, 88)


def test_odd_shapes_and_monochrome1_are_written_and_boxes_stay_inside(tmp_path):
    options = RsnaOptions(mixed_share=1.0, monochrome1_share=1.0, segmented_share=0.0)
    (uid,) = write_rsna([case_of(0, FRACTURES[0])], tmp_path / "odd", options)
    images = [pydicom.dcmread(p) for p in (tmp_path / "odd" / "train_images" / uid).iterdir()]
    assert len({image.Rows for image in images}) == 2
    assert {image.PhotometricInterpretation for image in images} == {"MONOCHROME1"}
    height = {image.InstanceNumber: image.Rows for image in images}
    for row in rows(tmp_path / "odd" / "train_bounding_boxes.csv"):
        assert float(row["y"]) + float(row["height"]) <= height[int(row["slice_number"])]


def test_the_test_side_has_images_and_no_labels(tmp_path):
    uids = write_rsna(four_cases(), tmp_path / "set", RsnaOptions(test_share=1 / 4, segmented_share=1.0))
    tested = [row["StudyInstanceUID"] for row in rows(tmp_path / "set" / "test.csv")]
    (only,) = set(tested)
    assert only in uids
    assert [row["row_id"] for row in rows(tmp_path / "set" / "test.csv")] == [
        f"{only}_{k}" for k in (*KINDS[1:], KINDS[0])
    ]
    assert {row["fractured"] for row in rows(tmp_path / "set" / "sample_submission.csv")} == {"0.5"}
    assert (tmp_path / "set" / "test_images" / only).is_dir()
    assert only not in {row["StudyInstanceUID"] for row in rows(tmp_path / "set" / "train.csv")}
    assert not (tmp_path / "set" / "segmentations" / f"{only}.nii").exists()


def test_boxes_can_be_left_out_of_the_table_and_stay_in_the_sidecar(tmp_path):
    write_rsna(four_cases()[:1], tmp_path / "set", RsnaOptions(boxed_share=0.0))
    assert rows(tmp_path / "set" / "train_bounding_boxes.csv") == []
    assert truths(tmp_path / "set")[0]["boxes"] != []


def test_a_stream_is_made_one_case_at_a_time_and_finished_ones_are_not_made_again(root, tmp_path):
    made = []

    def watched(item: RsnaCase) -> RsnaCase:
        def make():
            made.append(item.name)
            return item.make()

        return RsnaCase(item.name, make, item.header, item.spec)

    asked = []

    def stream():
        for item in four_cases():
            asked.append((item.name, len(made)))
            yield watched(item)

    write_rsna(stream(), tmp_path / "set", OPTIONS)
    assert asked == [(f"case-{k}", k) for k in range(4)]
    assert digests(tmp_path / "set") == digests(root)
    write_rsna(stream(), tmp_path / "set", OPTIONS)
    assert made == [f"case-{k}" for k in range(4)]


def test_a_full_disk_stops_cleanly_and_the_next_run_goes_on(root, tmp_path, monkeypatch):
    left = [60]

    def filling(buffer, dataset, **options):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        pydicom.dcmwrite(buffer, dataset, **options)

    monkeypatch.setattr("cspine.dicom.write.dcmwrite", filling)
    with pytest.raises(
        Rejected, match="no space left on the disk; finished studies stay, run again to go on"
    ) as caught:
        write_rsna(four_cases(), tmp_path / "set", OPTIONS)
    assert caught.value.status == "ENOSPC"
    assert not (tmp_path / "set" / "train.csv").exists()
    assert not list((tmp_path / "set").glob(".making-*"))
    assert len(list((tmp_path / "set" / "train_images").iterdir())) == 1
    left[0] = 10_000
    write_rsna(four_cases(), tmp_path / "set", OPTIONS)
    assert digests(tmp_path / "set") == digests(root)


def test_a_folder_with_other_options_is_left_alone_unless_it_is_to_be_overwritten(root, tmp_path):
    write_rsna(four_cases()[:1], tmp_path / "set", RsnaOptions())
    with pytest.raises(ConfigError, match="another plan"):
        write_rsna(four_cases(), tmp_path / "set", OPTIONS)
    write_rsna(four_cases(), tmp_path / "set", OPTIONS, overwrite=True)
    assert digests(tmp_path / "set") == digests(root)


@pytest.mark.parametrize("name", ["segmented_share", "boxed_share", "test_share", "mixed_share", "monochrome1_share"])
def test_an_impossible_share_is_refused_by_name(name):
    with pytest.raises(ConfigError, match=rf"{name} is 1\.5, must be 0 … 1"):
        RsnaOptions(**{name: 1.5})


def test_a_plan_writes_the_same_layout(tmp_path):
    plan = PhantomPlan(3, 4, layout=Layout.RSNA, size=Size.SMALL, fractures=("burst@C5:3",))
    places = write_phantoms(plan, tmp_path / "set", lambda name, share: None)
    assert [place.name for place in places] == [row["StudyInstanceUID"] for row in rows(tmp_path / "set" / "train.csv")]
    assert [row["C5"] for row in rows(tmp_path / "set" / "train.csv")] == ["1"] * 3
    assert {t["name"] for t in truths(tmp_path / "set")} == {f"phantom-4-0000{k}" for k in range(3)}


def test_an_index_of_the_folder_finds_nothing_wrong_with_it(root, tmp_path):
    index = index_rsna(root, tmp_path / "index").index
    assert list(index.problems["message"]) == []
    assert len(index.studies) == 4
    assert len(index.slices) == len(list((root / "train_images").glob("*/*.dcm")))


@pytest.mark.slow
def test_real_phantoms_have_the_same_bytes_from_one_worker_and_from_four(tmp_path, monkeypatch):
    monkeypatch.setattr("cspine.datasets.phantom_studies.make_case", make_case)
    plan = PhantomPlan(2, 5, layout=Layout.RSNA, matrix=32, finest_mm=5.0, fractures=("burst@C5:5",))
    seen: list[tuple[str, float]] = []
    write_phantoms(plan, tmp_path / "1", lambda name, share: None, workers=1, threads=1)
    write_phantoms(plan, tmp_path / "4", lambda *told: seen.append(told), workers=4, threads=1)
    assert digests(tmp_path / "1") == digests(tmp_path / "4")
    assert len(rows(tmp_path / "1" / "train_bounding_boxes.csv")) >= 2
    assert sorted(name for name, _ in seen) == ["phantom-5-00000", "phantom-5-00001"]
    assert [share for _, share in seen] == [0.5, 1.0]


def test_a_level_that_is_hardly_in_the_scan_gets_no_island():
    labels = np.zeros((20, 24, 24), dtype=np.uint8)
    labels[4:16, 8:16, 8:16] = V.C7
    labels[19, 10:13, 10] = V.T1
    grid = Grid.from_axes(labels.shape, (3.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    spread = with_islands(LabelMap(grid, labels), 12, 0).labels
    assert np.count_nonzero(spread == V.T1) == 3
    assert np.count_nonzero(spread == V.C7) > np.count_nonzero(labels == V.C7) + 100
