"""Results as DICOM: valid, on the source, repeatable, and plain about what was not assessed."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from itertools import product
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest

from cspine.dicom import VERTEBRA_CODES, SliceRef
from cspine.domain import (
    CERVICAL,
    Analysis,
    AxisOrder,
    Box,
    Decision,
    Grid,
    LabelMap,
    RenderError,
    UnsupportedSeries,
    Vertebra,
    Volume,
)
from cspine.report import GROUPS, chosen, image_region, render
from cspine.report.readback import check_segments
from tests.report.builders import (
    HEADER,
    SPACING,
    analysis,
    nothing_found,
    partial_neck,
    ruled_in,
    series,
)

_HEAD_LAST = AxisOrder((0, 1, 2), (True, False, False))
EIGHT = [
    np.diag(signs) @ np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    for signs in product((1.0, -1.0), repeat=3)
]


def _with_map(threshold: float | None = 0.4) -> tuple[Analysis, object]:
    made, source = ruled_in()
    hot = (made.labels.labels == Vertebra.C5).astype(np.float32) * 0.8
    return replace(made, fracture_map=Volume(made.labels.grid, hot), map_threshold=threshold), source


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[tuple[str, str], Path]:
    folder, made = tmp_path_factory.mktemp("objects"), {}
    for name, (result, source) in {"ruled-in": _with_map(), "partial": partial_neck()}.items():
        kinds, _ = chosen(("dicom",), result, source)
        for kind in kinds:
            made[name, kind] = folder / f"{name}-{kind}.dcm"
            made[name, kind].write_bytes(render(result, source, kind, {}))
    return made


def test_the_group_has_every_object_and_leaves_out_what_was_not_assessed(files):
    assert {kind for name, kind in files if name == "ruled-in"} == set(GROUPS["dicom"])
    _, left_out = chosen(("dicom",), *partial_neck())
    assert left_out == {"fracture-seg": "fractures were not assessed: the bundle has no fracture map"}


def test_the_validator_finds_no_error(files, require_program: Callable[[str], str]):
    told = {
        key: subprocess.run([require_program("dciodvfy"), path], capture_output=True, text=True, check=False)
        for key, path in files.items()
    }
    errors = {k: [x for x in (t.stdout + t.stderr).splitlines() if x.startswith("Error")] for k, t in told.items()}
    assert errors == {key: [] for key in files}


def test_every_object_says_ai_unverified_model_and_software_and_belongs_to_the_patient(files):
    for (_, kind), path in files.items():
        dataset = pydicom.dcmread(path)
        assert dataset.SeriesDescription.startswith("AI, unverified: ")
        (equipment,) = dataset.ContributingEquipmentSequence
        assert "not verified by a physician" in equipment.ContributionDescription
        assert ruled_in()[0].findings.model_id in equipment.ContributionDescription
        assert equipment.SoftwareVersions == "cspine 0.1.0.dev0"
        assert (dataset.PatientName, dataset.PatientID, dataset.StudyInstanceUID) == (
            HEADER.patient_name,
            HEADER.patient_id,
            HEADER.study_instance_uid,
        ), kind


def test_the_same_result_gives_the_same_bytes_and_another_other_uids():
    result, source = partial_neck()
    first = {kind: render(result, source, kind, {"read": 1.0}) for kind in ("seg", "sr", "pr")}
    assert first == {kind: render(result, source, kind, {"read": 2.0}) for kind in first}
    hu = np.array(source.volume.hu)
    hu[0, 0, 0] += 1
    changed = replace(source, volume=Volume(source.volume.grid, hu))
    for kind, document in first.items():
        other = pydicom.dcmread(BytesIO(render(result, changed, kind, {})))
        before = pydicom.dcmread(BytesIO(document))
        assert (before.SOPInstanceUID, before.SeriesInstanceUID) != (other.SOPInstanceUID, other.SeriesInstanceUID)


def test_another_reader_sees_the_vertebrae_where_they_are(files):
    labels = ruled_in()[0].labels
    image = highdicom.seg.segread(files["ruled-in", "seg"])
    types = [image.get_segment_description(v).segmented_property_type.value for v in CERVICAL]
    assert types == [VERTEBRA_CODES[v].value for v in CERVICAL]
    volume = image.get_volume(combine_segments=True)
    for vertebra in CERVICAL:
        mine = labels.grid.to_world(np.argwhere(labels.labels == vertebra)).mean(axis=0)
        index = np.argwhere(volume.array == vertebra).mean(axis=0)
        np.testing.assert_allclose(volume.affine[:3, :3] @ index + volume.affine[:3, 3], mine, atol=0.05)


@pytest.mark.parametrize("directions", EIGHT, ids=range(8))
def test_a_segmentation_comes_back_in_eight_orientations(directions):
    grid = Grid.from_axes((16, 20, 18), SPACING, (50.0, 40.0, -60.0), directions.astype(float))
    labels = np.zeros(grid.shape, np.uint8)
    labels[2:9, 3:11, 4:16], labels[9:14, 5:11, 6:12] = 3, 4
    made = analysis(LabelMap(grid, labels))
    source = series(Volume(grid, np.zeros(grid.shape, np.int16)))
    dataset = pydicom.dcmread(BytesIO(render(made, source, "seg", {})))
    check_segments(render(made, source, "seg", {}), labels, source)
    assert dataset.NumberOfFrames == 7 + 5


def test_a_segmentation_off_its_place_is_noticed():
    result, source = partial_neck()
    document = render(result, source, "seg", {})
    affine = source.volume.grid.affine.copy()
    affine[0, 3] += 0.7
    moved = replace(source, volume=Volume(Grid(source.volume.grid.shape, affine), source.volume.hu))
    with pytest.raises(RenderError, match=r"lies 0\.70 mm off slice"):
        check_segments(document, result.labels.labels, moved)
    wrong = np.array(result.labels.labels)
    wrong[0, 0, 0] = 7
    with pytest.raises(RenderError, match="1 voxels differ"):
        check_segments(document, wrong, source)


@pytest.mark.parametrize("kind", ["seg", "fracture-seg", "sr", "html", "json"])
def test_an_analysis_on_another_grid_than_the_source_is_refused_before_anything_is_written(kind: str):
    """Upside down it would pass every check that reads arrays alone."""
    made, source = _with_map()
    turned = Grid(made.labels.grid.shape, made.labels.grid.reordered(_HEAD_LAST).affine)
    with pytest.raises(RenderError, match=r"the label map lies up to 15[0-9.]+ mm off .*; limit 0\.5 mm"):
        render(replace(made, labels=LabelMap(turned, made.labels.labels[::-1])), source, kind, {})
    assert made.fracture_map is not None
    with pytest.raises(RenderError, match="the fracture map has shape"):
        render(replace(made, fracture_map=made.fracture_map.crop(Box((1, 0, 0), turned.shape))), source, kind, {})


def test_frames_of_a_multi_frame_image_are_referred_to_as_frames():
    result, source = partial_neck()
    frames = tuple(
        SliceRef("1.2.840.10008.5.1.4.1.1.2.1", "1.2.3.4", None, k + 1, one.position_lps_mm)
        for k, one in enumerate(source.slices)
    )
    dataset = pydicom.dcmread(BytesIO(render(result, replace(source, slices=frames), "seg", {})))
    images = [g.DerivationImageSequence[0].SourceImageSequence[0] for g in dataset.PerFrameFunctionalGroupsSequence]
    assert {image.ReferencedSOPInstanceUID for image in images} == {"1.2.3.4"}
    positions = [g.PlanePositionSequence[0].ImagePositionPatient for g in dataset.PerFrameFunctionalGroupsSequence]
    for image, position in zip(images, positions, strict=True):
        np.testing.assert_allclose(frames[image.ReferencedFrameNumber - 1].position_lps_mm, position, atol=1e-6)
    assert len(dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 1


def test_a_region_on_a_multi_frame_image_names_its_frame():
    result, source = ruled_in()
    frames = tuple(
        SliceRef("1.2.840.10008.5.1.4.1.1.2.1", "1.2.3.4", None, k + 1, one.position_lps_mm)
        for k, one in enumerate(source.slices)
    )
    report = pydicom.dcmread(BytesIO(render(result, replace(source, slices=frames), "sr", {})))
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    images = [i for s in study.ReferencedSeriesSequence for i in s.ReferencedSOPSequence]
    assert [i.ReferencedSOPInstanceUID for i in images].count("1.2.3.4") == 1
    drawn = [item.ContentSequence[0].ReferencedSOPSequence[0] for item in _below(report) if item.ValueType == "SCOORD"]
    assert {image.ReferencedSOPInstanceUID for image in drawn} == {"1.2.3.4"}
    boxes = [place.box_lps_mm for f in result.findings.vertebrae for place in f.locations]
    shown = [image_region(box, replace(source, slices=frames)) for box in boxes]
    assert [image.ReferencedFrameNumber for image in drawn] == [one.image.frame_number for one in shown if one]


def _below(item: pydicom.Dataset) -> list[pydicom.Dataset]:
    return [found for child in item.get("ContentSequence", ()) for found in (child, *_below(child))]


def _texts(item: pydicom.Dataset) -> list[tuple[str, str]]:
    found = []
    for child in item.get("ContentSequence", ()):
        name = child.ConceptNameCodeSequence[0].CodeMeaning if "ConceptNameCodeSequence" in child else ""
        if child.ValueType == "TEXT":
            found.append((name, child.TextValue))
        elif child.ValueType == "CODE":
            found.append((name, child.ConceptCodeSequence[0].CodeMeaning))
        elif child.ValueType == "NUM":
            found.append((name, str(child.MeasuredValueSequence[0].NumericValue)))
        found += _texts(child)
    return found


def test_the_structured_report_says_not_assessed_for_every_level(files):
    report = highdicom.sr.srread(files["partial", "sr"])
    said = _texts(report)
    assert said.count(("Decision about fracture", "Not assessed")) == 8  # the study and seven levels
    assert ("Comment", "Not assessed: outside the scanned field") in said
    assert not [value for name, value in said if name == "Probability of fracture"]
    assert report.VerificationFlag == "UNVERIFIED"


def test_the_structured_report_measures_probabilities_and_points_at_places(files):
    report = highdicom.sr.srread(files["ruled-in", "sr"])
    values = [value for name, value in _texts(report) if name == "Probability of fracture"]
    assert {"0.95", "0.93", "0.91", "0.55", "0.4"} <= set(values)
    groups = report.content.get_planar_roi_measurement_groups()
    assert [g.tracking_identifier for g in groups] == ["F1", "F1", "F2", "F2", "F3", "F3"]
    segments = report.content.get_volumetric_roi_measurement_groups()
    uid = pydicom.dcmread(files["ruled-in", "seg"]).SOPInstanceUID
    images = [g.referenced_segment[0].ReferencedSOPSequence[0] for g in segments]
    assert [(i.ReferencedSOPInstanceUID, i.ReferencedSegmentNumber) for i in images] == [(uid, v) for v in CERVICAL]


def test_marks_lie_on_the_slices_that_show_the_level(files):
    result, source = ruled_in()
    state = pydicom.dcmread(files["ruled-in", "pr"])
    uids = [one.sop_instance_uid for one in source.slices]
    named = [a for a in state.GraphicAnnotationSequence if a.TextObjectSequence[0].UnformattedTextValue == "C4"]
    for mark in named:
        k = uids.index(mark.ReferencedImageSequence[0].ReferencedSOPInstanceUID)
        rows, columns = np.nonzero(result.labels.labels[k] == Vertebra.C4)
        x0, y0 = np.array(mark.GraphicObjectSequence[0].GraphicData).reshape(-1, 2).min(axis=0)
        assert (x0, y0) == (columns.min(), rows.min())
    slices = (result.labels.labels == Vertebra.C4).any(axis=(1, 2)).sum()
    assert len(named) == slices
    texts = {a.TextObjectSequence[0].UnformattedTextValue for a in state.GraphicAnnotationSequence}
    assert {"F1 fracture 55 %", "F2 burst 91 %", "F3 lamina 40 %"} <= texts


def test_the_pdf_inside_is_the_report_and_the_capture_its_page(files):
    inside = pydicom.dcmread(files["partial", "dicom-pdf"])
    assert inside.EncapsulatedDocument[: inside.EncapsulatedDocumentLength] == render(*partial_neck(), "pdf", {})
    page = pydicom.dcmread(files["partial", "sc"])
    assert page.pixel_array.shape[0] / page.pixel_array.shape[1] == pytest.approx(2**0.5, abs=0.01)
    assert page.BurnedInAnnotation == "YES"


def test_a_result_without_a_study_or_a_map_is_refused_with_the_reason():
    with pytest.raises(UnsupportedSeries, match=r"neck\.nii\.gz: no dicom can be made of it: the input names no DICOM"):
        chosen(("dicom",), *nothing_found())
    with pytest.raises(UnsupportedSeries, match="no fracture-seg can be made of it: the bundle gives no operating"):
        chosen(("fracture-seg",), *_with_map(None))


def test_a_resampled_series_gets_all_but_marks_on_slices_that_are_no_longer_there():
    result, source = partial_neck()
    resampled = replace(source, slices=())
    kinds, left_out = chosen(("dicom",), result, resampled)
    assert kinds == ("seg", "sr", "sc", "dicom-pdf")
    assert "resampled" in left_out["pr"]
    dataset = pydicom.dcmread(BytesIO(render(result, resampled, "seg", {})))
    assert "ReferencedSeriesSequence" not in dataset
    render(result, resampled, "sr", {})


def test_hostile_words_of_a_header_are_written_as_words():
    result, source = partial_neck()
    header = replace(
        HEADER, patient_name="A" * 300 + "\ud800", patient_id="x\\y\n" * 40, study_date="yesterday", patient_sex="?"
    )
    dataset = pydicom.dcmread(BytesIO(render(result, replace(source, header=header), "seg", {})))
    assert (len(str(dataset.PatientName)), dataset.StudyDate, dataset.PatientSex) == (64, "", "")
    assert "\\" not in dataset.PatientID
    assert dataset.ContentDate == "19000101"
    assert {f.decision for f in result.findings.vertebrae} == {Decision.NOT_ASSESSED}
