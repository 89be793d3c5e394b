"""Results of varied studies: valid, on the source, read by programs that are not ours, kept by an archive."""

import json
import re
import subprocess
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - its usual name

from cspine.dicom import StoredAs
from cspine.domain import CERVICAL, Decision
from cspine.report import chosen, render
from cspine.stores import Access, Inbox, open_store
from tests.report.varied import VARIANTS, Made, made
from tests.stores.orthanc import PASSWORD, USER, Orthanc

pytestmark = pytest.mark.slow

LIMIT_MM = 0.5
STUDIES = 20


@dataclass(frozen=True, eq=False)
class Written:
    """One study and its results, as files."""

    study: Made
    folder: Path
    documents: dict[str, bytes]

    def path(self, kind: str) -> Path:
        return self.folder / f"{kind}.dcm"


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> list[Written]:
    studies = []
    for number, variant in enumerate(VARIANTS):
        folder = tmp_path_factory.mktemp("study")
        study = made(variant, number, folder / "ct")
        kinds, _ = chosen(("dicom",), study.result, study.source)
        one = Written(study, folder, {kind: render(study.result, study.source, kind, {}) for kind in kinds})
        for kind, document in one.documents.items():
            one.path(kind).write_bytes(document)
        studies.append(one)
    return studies


def _run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False, errors="replace"
    )


def _installed(name: str) -> Path:
    """Return a program that came with a Python package."""
    return Path(sysconfig.get_path("scripts"), name)


def test_every_kind_is_made_of_every_study_that_can_have_it(written):
    kinds = [kind for one in written for kind in one.documents]
    counts = {kind: kinds.count(kind) for kind in set(kinds)}
    assert counts["seg"] == counts["sr"] == counts["sc"] == counts["dicom-pdf"] == len(VARIANTS)
    assert counts["pr"] == len(VARIANTS) - 1  # the resampled study has no original slices to draw on
    assert counts["fracture-seg"] == sum(v.mapped for v in VARIANTS)


def test_the_studies_are_varied_enough(written):
    decisions = {one.study.variant.name: one.study.result.findings.decision for one in written}
    assert len(decisions) == STUDIES
    assert decisions["read, positive"] is Decision.RULE_IN
    assert decisions["read, negative"] is Decision.RULE_OUT
    assert {decisions["upper half"], decisions["lower half"]} == {Decision.RULE_IN, Decision.NOT_ASSESSED}


def test_the_validator_finds_no_error_in_any_of_them(written, require_program: Callable[[str], str]):
    validator = require_program("dciodvfy")
    errors: dict[tuple[str, str], list[str]] = {}
    for one in written:
        for kind in one.documents:
            done = _run(validator, one.path(kind))
            found = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]
            errors |= {(one.study.variant.name, kind): found} if found else {}
    assert errors == {}


def _farthest_mm(one: Written, kind: str, expected: np.ndarray) -> float:
    """Return how far voxels that dcmqi reads lie from those that were meant; they must be the same in number."""
    out = one.folder / f"itk-{kind}"
    out.mkdir()
    call = ("--inputDICOM", one.path(kind), "--outputDirectory", out, "--outputType", "nii", "--mergeSegments")
    done = _run(_installed("segimage2itkimage"), *call)
    images = [sitk.ReadImage(str(path)) for path in sorted(out.glob("*.nii.gz"))]
    assert images, done.stdout + done.stderr
    grid, worst, count = one.study.source.volume.grid, 0.0, 0
    for image in images:
        array = sitk.GetArrayFromImage(image)
        at = np.argwhere(array > 0)
        direction = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
        world = at[:, ::-1] @ direction.T + np.array(image.GetOrigin())
        index = grid.to_index(world)
        nearest = np.rint(index).astype(int)
        worst = max(worst, float(np.linalg.norm(grid.to_world(nearest) - world, axis=1).max()))
        np.testing.assert_array_equal(expected[tuple(nearest.T)], array[tuple(at.T)])
        count += len(at)
    assert count == int((expected > 0).sum())
    return worst


def test_dcmqi_finds_every_voxel_of_every_segmentation_where_it_was_meant(written):
    worst = 0.0
    for one in written:
        labels = one.study.result.labels.labels
        worst = max(worst, _farthest_mm(one, "seg", np.where(labels <= max(CERVICAL), labels, 0)))
        if "fracture-seg" in one.documents:
            hot = one.study.result.fracture_map.hu >= one.study.result.map_threshold
            worst = max(worst, _farthest_mm(one, "fracture-seg", hot.astype(np.uint8)))
    assert worst <= LIMIT_MM


def test_dcmqi_and_dcmtk_read_every_structured_report(written, require_program: Callable[[str], str]):
    dump = require_program("dsrdump")
    for one in written:
        told = one.folder / "sr.json"
        done = _run(_installed("tid1500reader"), "--inputDICOM", one.path("sr"), "--outputMetadata", told)
        assert done.returncode == 0, done.stdout + done.stderr
        groups = json.loads(told.read_text())["Measurements"]
        levels = {re.sub(r"\W.*", "", group["TrackingIdentifier"]) for group in groups}
        seen = {f.vertebra.name for f in one.study.result.findings.vertebrae if f.box_lps_mm is not None}
        assert seen <= levels, one.study.variant.name
        text = _run(dump, one.path("sr"))
        assert text.returncode == 0, text.stderr
        assert "E:" not in text.stderr
        unseen = [f for f in one.study.result.findings.vertebrae if f.probability is None]
        assert text.stdout.count("Not assessed") >= len(unseen)


def test_dcmtk_accepts_every_presentation_state_and_renders_its_image(written, require_program: Callable[[str], str]):
    check, draw = require_program("dcmpschk"), require_program("dcmp2pgm")
    for one in written:
        if "pr" not in one.documents:
            continue
        done = _run(check, one.path("pr"))
        assert done.returncode == 0, done.stdout + done.stderr
        if one.study.variant.frames or one.study.variant.storage.stored_as != (StoredAs.RAW,):
            continue  # dcmp2pgm wants the very image, uncompressed
        image = sorted((one.folder / "ct").glob("*.dcm"))[0]
        done = _run(draw, "--pstate", one.path("pr"), image, one.folder / "drawn.pgm")
        assert done.returncode == 0, done.stdout + done.stderr
        assert (one.folder / "drawn.pgm").read_bytes().startswith(b"P5")


def test_an_archive_serves_all_of_them_back_byte_for_byte(written, orthanc: Orthanc, tmp_path):
    store = open_store(orthanc.web, Access(user=USER, password=PASSWORD))
    for number, one in enumerate(written):
        images = {f"{k}": image for k, image in enumerate(one.study.images)}
        store.send_all(images | one.documents)
        study = one.study.source.header.study_instance_uid
        inbox = Inbox(tmp_path / f"{number}")
        for series in store.find_series(study):
            store.fetch(study, series.series_uid, inbox)
        version = inbox.seal(study)
        assert version is not None
        came = {path.read_bytes() for path in version.folder.iterdir()}
        assert came == {*one.study.images, *one.documents.values()}
