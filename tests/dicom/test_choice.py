"""The written rule by which one series of a study is chosen."""

from dataclasses import replace
from pathlib import Path

import pytest

from cspine.dicom import Series, StudyHeader, choose_series, scan
from cspine.dicom.choice import is_sharp
from cspine.domain import NoImages, NotAVolume
from tests.dicom.builders import edit, setting, volume, write


def series(
    folder: Path, slices: int, spacing_mm: float, kernel: str = "B70s", image_type: str = "ORIGINAL", number: int = 0
) -> Series:
    """Write one series and return it as scanned."""
    home = folder / str(len(list(folder.iterdir())))
    header = StudyHeader(study_instance_uid="1.2", kernel=kernel, series_number=str(number))
    paths = write(home, volume((slices, 16, 16), (spacing_mm, 0.5, 0.5), seed=number), header=header)
    edit(paths, setting(ImageType=[image_type, "PRIMARY", "AXIAL"]))
    (study,) = scan([home]).studies
    return study.series[0]


def test_the_one_that_covers_the_neck_wins(tmp_path: Path) -> None:
    short, long = series(tmp_path, 40, 0.6), series(tmp_path, 50, 3.0, "B30s")
    choice = choose_series([short, long])
    assert choice.chosen == long
    assert choice.not_used[0].reason == "covers 23 mm, less than the one chosen"


def test_beyond_a_neck_more_length_does_not_matter(tmp_path: Path) -> None:
    neck, body = series(tmp_path, 50, 2.5), series(tmp_path, 60, 5.0)
    choice = choose_series([body, neck])
    assert choice.chosen == neck
    assert choice.not_used[0].reason == "slices of 5 mm, thicker than the one chosen"


def test_original_slices_win_over_thinner_reformats(tmp_path: Path) -> None:
    original, reformat = series(tmp_path, 20, 2.0), series(tmp_path, 40, 1.0, image_type="DERIVED")
    choice = choose_series([reformat, original])
    assert choice.chosen == original
    assert choice.not_used[0].reason == "reformatted or derived, not original axial slices"


def test_thin_slices_win_over_a_bone_kernel(tmp_path: Path) -> None:
    thin, bone = series(tmp_path, 40, 1.0, "B30s"), series(tmp_path, 20, 2.0, "B70s")
    choice = choose_series([bone, thin])
    assert choice.chosen == thin
    assert choice.not_used[0].reason == "slices of 2 mm, thicker than 1.25 mm"


def test_a_bone_kernel_wins_over_thinner_slices(tmp_path: Path) -> None:
    bone, soft = series(tmp_path, 36, 1.0, "B70s"), series(tmp_path, 60, 0.6, "B30s")
    choice = choose_series([soft, bone])
    assert choice.chosen == bone
    assert choice.not_used[0].reason == "kernel B30s is not a bone kernel"


def test_the_order_of_the_candidates_does_not_matter(tmp_path: Path) -> None:
    several = [series(tmp_path, 20, 1.0, number=k) for k in range(4)]
    assert {choose_series(several[k:] + several[:k]).chosen for k in range(4)} == {choose_series(several).chosen}


def test_too_few_slices_are_listed_as_refused(tmp_path: Path) -> None:
    good, few = series(tmp_path, 20, 1.0), series(tmp_path, 3, 1.0)
    (unused,) = choose_series([few, good]).not_used
    assert "3 slices; at least 4 are needed for a volume" in unused.reason


def test_when_all_are_refused_the_largest_says_why(tmp_path: Path) -> None:
    one, three = series(tmp_path, 1, 1.0), series(tmp_path, 3, 1.0)
    with pytest.raises(NotAVolume) as refused:
        choose_series([one, three])
    assert str(refused.value).startswith(f"{three.name}: 3 slices")
    assert f"{one.name}: 1 slices" in str(refused.value)


def test_no_series_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(NoImages, match="no image series was found"):
        choose_series([])


@pytest.mark.parametrize(
    ("kernel", "description", "sharp"),
    [
        ("B70s", "", True),
        ("Br64f\\3", "", True),
        ("Hr60s", "", True),
        ("B31f", "", False),
        ("BONEPLUS", "", True),
        ("BONE", "", True),
        ("STANDARD", "", False),
        ("SOFT", "", False),
        ("D", "", True),
        ("YC", "", True),
        ("B", "", False),
        ("FC30", "", True),
        ("FC81", "", True),
        ("FC08", "", False),
        ("", "C-Spine 0.6 BONE", True),
        ("", "HWS Knochen", True),
        ("", "HWS Weichteil", False),
    ],
)
def test_bone_kernels_of_the_makers_are_known(tmp_path: Path, kernel: str, description: str, sharp: bool) -> None:
    one = series(tmp_path, 4, 1.0)
    header = replace(one.header, series_description=description)
    image = replace(one.images[0], kind=replace(one.kind, kernel=kernel, header=header))
    assert is_sharp(replace(one, images=(image,))) is sharp
