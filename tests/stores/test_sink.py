"""The folder sink: whole documents or none."""

import os
import resource
from pathlib import Path

import pytest

from cspine.domain import Rejected, Unreachable
from cspine.stores import FolderSink, Sink
from tests.dicom.builders import without_privileges


def test_a_document_lands_in_a_subfolder_and_the_receipt_says_where(tmp_path: Path) -> None:
    sink: Sink = FolderSink(tmp_path / "out")
    receipt = sink.send("1.2.3/findings.json", b"{}")
    assert Path(receipt.where).read_bytes() == b"{}"
    assert receipt.size_bytes == 2
    assert [path.name for path in (tmp_path / "out" / "1.2.3").iterdir()] == ["findings.json"]


def test_an_older_document_is_replaced_whole(tmp_path: Path) -> None:
    sink = FolderSink(tmp_path)
    sink.send("a", b"old" * 100)
    sink.send("a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"


def test_the_mode_is_that_of_ordinary_files(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        FolderSink(tmp_path).send("a", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("name", ["../a", "/a", "", "x/../../a", "a\0b"])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Rejected, match="is no path below"):
        FolderSink(tmp_path / "out").send(name, b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_half_written_and_the_old_one_whole(tmp_path: Path) -> None:
    sink = FolderSink(tmp_path)
    sink.send("a", b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(Rejected, match="no space left on the disk; nothing was written") as refused:
            sink.send("a", b"x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert refused.value.status == "EFBIG"
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(Unreachable, match="cannot be written"):
        FolderSink(tmp_path / "out").send("a", b"x")


def test_a_folder_without_permission_is_told() -> None:
    with without_privileges() as folder:
        (folder / "closed").mkdir(mode=0o500)
        with pytest.raises(Unreachable, match="cannot be written: Permission denied"):
            FolderSink(folder / "closed").send("a", b"x")
