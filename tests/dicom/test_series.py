"""Several series in one folder: what belongs together, and what is left aside with which reason."""

from pathlib import Path

import numpy as np

from cspine.dicom import StudyHeader, choose_series, scan
from tests.dicom.builders import (
    edit,
    load,
    setting,
    volume,
    write,
)


def test_scout_dose_sheet_and_reformat_are_left_aside_with_reasons(tmp_path: Path) -> None:
    study = "1.2.3"
    write(tmp_path / "axial", volume((40, 24, 32)), header=StudyHeader(study_instance_uid=study))
    scout = write(tmp_path / "scout", volume((2, 24, 32)), header=StudyHeader(study_instance_uid=study))
    edit(scout, setting(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]))
    sheet = write(tmp_path / "dose", volume((1, 24, 32)), header=StudyHeader(study_instance_uid=study))
    edit(sheet, setting(SOPClassUID="1.2.840.10008.5.1.4.1.1.7"))
    mpr = write(tmp_path / "mpr", volume((40, 24, 32), seed=1), header=StudyHeader(study_instance_uid=study))
    edit(mpr, setting(ImageType=["DERIVED", "SECONDARY", "MPR"]))
    (found,) = scan([tmp_path]).studies
    choice = choose_series(found.series)
    assert choice.chosen.kind.image_type[2] == "AXIAL"
    reasons = sorted(unused.reason for unused in choice.not_used)
    assert any("a localizer (scout), not slices" in reason for reason in reasons)
    assert any("not a CT image" in reason for reason in reasons)
    assert "reformatted or derived, not original axial slices" in reasons


def test_a_scout_inside_the_series_is_set_apart(tmp_path: Path) -> None:
    header = StudyHeader(study_instance_uid="1.2.3", series_instance_uid="1.2.3.4")
    of = volume((20, 24, 32))
    paths = write(tmp_path, of, header=header)
    edit(
        paths[:1],
        setting(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], ImageOrientationPatient=[0, 1, 0, 0, 0, -1]),
    )
    read = load(tmp_path)
    assert read.volume.grid.shape == (19, 24, 32)
    assert np.array_equal(read.volume.hu, of.hu[1:])
