"""The gallery shows every type and every mimic, goes on where it stopped, and leaves other folders alone."""

import re
from base64 import b64decode
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cspine.datasets.phantom_gallery import GalleryPlan, build, cells_of, write_gallery
from cspine.datasets.phantom_gallery.build import cell_key
from cspine.datasets.phantom_gallery.pictures import middle_of, strip
from cspine.datasets.phantom_gallery.plan import FRACTURE, MIMIC
from cspine.domain import ConfigError, Grid, GroundTruth, LabelMap, Rejected, Volume
from cspine.phantom import Case, FractureType, MimicKind, PhantomSpec, Side

GRID = Grid.from_axes((12, 40, 40), (1.0, 1.0, 1.0), (-20.0, -20.0, 6.0))
TWO = GalleryPlan(only=("dens-ii", "ossicle@C6"), severities=(3,))
PICTURE = re.compile(r'src="data:image/jpeg;base64,([^"]+)"')


def quiet(stage: str, share: float) -> None:
    assert stage
    assert 0 <= share <= 1


def block_case(spec: PhantomSpec) -> Case:
    """Return a case of air with a bright block, whose mask is the fracture's or the mimic's."""
    hu, mask = np.full(GRID.shape, -1000, np.int16), np.zeros(GRID.shape, np.uint8)
    mask[4:8, 10:20, 22:30] = 1
    hu[mask > 0] = 1200
    empty = LabelMap(GRID, np.zeros(GRID.shape, np.uint8))
    there = LabelMap(GRID, mask)
    fractures, mimics = (there, empty) if spec.fractures else (empty, there)
    return Case(Volume(GRID, hu), empty, GroundTruth(()), fractures, mimics)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[PhantomSpec]:
    """Let cells cost nothing, and count them."""
    asked: list[PhantomSpec] = []

    def scanned(_: None, spec: PhantomSpec, threads: int) -> Case:
        assert threads > 0
        asked.append(spec)
        return block_case(spec)

    monkeypatch.setattr(build, "make_subject", lambda _: None)
    monkeypatch.setattr(build, "scan_subject", scanned)
    return asked


def test_every_fracture_type_and_every_mimic_appears_at_severities_1_3_and_5():
    cells = cells_of(GalleryPlan())
    shown = {(c.group, c.name, c.severity) for c in cells}
    wanted = {(FRACTURE, k.value, s) for k in FractureType for s in (1, 3, 5)}
    assert shown == wanted | {(MIMIC, k.value, s) for k in MimicKind for s in (1, 3, 5)}
    assert len({cell_key(c) for c in cells}) == len(cells)
    for cell in cells:
        assert [f.severity for f in cell.spec.fractures] + [m.severity for m in cell.spec.mimics] == [cell.severity]


@pytest.mark.parametrize("seed", [11, 12])
def test_the_clavicle_breaks_on_the_side_that_its_cell_shows(seed: int):
    for cell in cells_of(GalleryPlan(only=("clavicle",), seed=seed)):
        assert cell.spec.coverage.offset_mm[0] > 0
        assert [f.side for f in cell.spec.fractures] == [Side.LEFT]


def test_a_level_can_be_chosen_and_one_where_the_type_does_not_exist_is_refused():
    assert {c.vertebra.name for c in cells_of(GalleryPlan(only=("lamina@C6",)))} == {"C6"}
    with pytest.raises(ConfigError, match="no dens-ii fracture at C5"):
        cells_of(GalleryPlan(only=("dens-ii@C5",)))
    with pytest.raises(ConfigError, match="limbus-vertebra at C1"):
        cells_of(GalleryPlan(only=("limbus-vertebra@C1",)))
    with pytest.raises(ConfigError, match="'crack': no such fracture type or mimic; known are"):
        GalleryPlan(only=("crack",))
    with pytest.raises(ConfigError, match="unknown level 'C9'"):
        GalleryPlan(only=("lamina@C9",))


def test_the_page_holds_its_pictures_and_loads_nothing(tmp_path: Path, made: list[PhantomSpec]):
    page = write_gallery(TWO, tmp_path / "new", quiet, threads=1).read_text(encoding="utf-8")
    pictures = [Image.open(BytesIO(b64decode(code))) for code in PICTURE.findall(page)]
    assert len(pictures) == len(made) == 2
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert "dens-ii of C2, severity 3" in page
    assert "ossicle of C6, severity 3" in page
    assert "8 × 10 × 4 mm, mask 320 mm³" in page


def test_cells_that_are_there_are_not_made_again_and_a_broken_run_goes_on(tmp_path: Path, made: list[PhantomSpec]):
    root = tmp_path / "new"
    first = write_gallery(TWO, root, quiet, threads=1).read_bytes()
    assert write_gallery(TWO, root, quiet, threads=1).read_bytes() == first
    assert len(made) == 2
    next((root / "cells").glob("*.json")).unlink()
    assert write_gallery(TWO, root, quiet, threads=1).read_bytes() == first
    assert len(made) == 3
    write_gallery(replace(TWO, severities=(5,)), root, quiet, threads=1)
    assert len(made) == 5


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path, made: list[PhantomSpec]):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is not empty and holds no gallery"):
        write_gallery(TWO, tmp_path, quiet, threads=1)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]
    assert made == []


def test_a_folder_that_cannot_be_made_is_a_store_error(tmp_path: Path, made: list[PhantomSpec]):
    (tmp_path / "file").write_text("")
    with pytest.raises(Rejected, match="run again to go on"):
        write_gallery(TWO, tmp_path / "file" / "new", quiet, threads=1)
    assert made == []


def test_the_mask_is_colored_below_and_the_planes_go_through_it():
    case = block_case(cells_of(TWO)[0].spec)
    mask = case.fractures.labels > 0
    assert mask[middle_of(mask)]
    jpeg, size = strip(case.volume, mask, FRACTURE)
    picture = np.asarray(Image.open(BytesIO(jpeg))).astype(int)
    assert picture.shape[:2] == size[::-1]
    red = picture[..., 0] - picture[..., 2]
    half = picture.shape[0] // 2
    assert red[:half].max() < 30
    assert red[half:].max() > 60
    assert middle_of(np.zeros((4, 6, 8), dtype=bool)) == (2, 3, 4)


@pytest.mark.slow
def test_two_real_cells_show_bone_and_a_mask(tmp_path: Path):
    plan = GalleryPlan(only=("spinous-process@C6", "ossicle@C6"), severities=(5,))
    page = write_gallery(plan, tmp_path / "new", quiet, threads=2).read_text(encoding="utf-8")
    for code in PICTURE.findall(page):
        picture = np.asarray(Image.open(BytesIO(b64decode(code)))).astype(int)
        half = picture.shape[0] // 2
        assert picture[:half].max() > 240
        assert np.abs(picture[half:, :, 0] - picture[half:, :, 2]).max() > 60
    assert "nothing of it in this field" not in page
