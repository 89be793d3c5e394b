"""Zip archives: sound ones are read, hostile and damaged ones are refused, nothing stays behind."""

import io
import os
import struct
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cspine.domain import NoImages, UnsupportedSeries
from cspine.stores import archive, open_source
from tests.dicom.builders import volume, write


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return path


def series_members(folder: Path, prefix: str = "PAT/ST/") -> dict[str, bytes]:
    return {f"{prefix}{path.stem}": path.read_bytes() for path in write(folder)}


def refusal(path: Path) -> str:
    with open_source(path) as source, pytest.raises((NoImages, UnsupportedSeries)) as refused:
        source.studies()
    return str(refused.value)


def test_a_zip_is_read_and_its_unpacked_files_are_gone_afterwards(tmp_path: Path, own_temporary_folder: Path) -> None:
    members = series_members(tmp_path / "series") | {"readme.txt": b"x" * 300, "inner.zip": b"PK\3\4"}
    with open_source(zipped(tmp_path / "study.bin", members)) as source:
        (study,) = source.studies()
        read = study.load()
        assert len(list(own_temporary_folder.rglob("0*"))) == 13
        assert {one.name.rsplit(":", 1)[-1]: one.reason for one in source.skipped} == {
            "inner.zip": "an archive within the archive; unpack it first",
            "readme.txt": "not a DICOM file",
        }
    assert list(own_temporary_folder.iterdir()) == []
    assert np.array_equal(read.volume.hu, volume().hu)


def test_messages_name_the_member_not_the_temporary_file(tmp_path: Path) -> None:
    members = series_members(tmp_path / "series")
    members["PAT/ST/4"] = members["PAT/ST/4"][:-10]
    with open_source(zipped(tmp_path / "study.zip", members)) as source:
        (study,) = source.studies()
        with pytest.raises(UnsupportedSeries, match=r"study\.zip:PAT/ST/4: truncated: 10 bytes"):
            study.load()


@pytest.mark.parametrize("name", ["../evil.dcm", "a/../../evil.dcm", "/etc/evil.dcm", "..\\evil.dcm", "C:\\evil.dcm"])
def test_a_member_that_leads_out_is_refused(tmp_path: Path, name: str, own_temporary_folder: Path) -> None:
    path = zipped(tmp_path / "study.zip", series_members(tmp_path / "series") | {name: b"x"})
    assert "leads out of the archive; nothing was read" in refusal(path)
    assert not (tmp_path / "evil.dcm").exists()
    assert list(own_temporary_folder.iterdir()) == []


def test_a_bomb_is_refused_by_its_ratio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "RATIO_FREE_BYTES", 10 * 2**20)
    path = zipped(tmp_path / "bomb.zip", {str(k): bytes(8 * 2**20) for k in range(4)})
    assert "a zip bomb: grows" in refusal(path)


def test_a_bomb_that_lies_about_its_size_is_stopped_while_it_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_temporary_folder: Path
) -> None:
    monkeypatch.setattr(archive, "RATIO_FREE_BYTES", 10 * 2**20)
    path = zipped(tmp_path / "bomb.zip", {"a": bytes(64 * 2**20)})
    content = bytearray(path.read_bytes())
    size = struct.pack("<I", 64 * 2**20)
    for at in (content.index(size), content.rindex(size)):
        content[at : at + 4] = struct.pack("<I", 1000)
    path.write_bytes(content)
    told = refusal(path)
    assert "zip bomb" in told or "damaged" in told
    assert list(own_temporary_folder.iterdir()) == []


def test_too_much_in_all_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "TOTAL_LIMIT_BYTES", 5000)
    path = zipped(tmp_path / "study.zip", {"a": os.urandom(4000), "b": os.urandom(4000)})
    assert "unpacks to more than 5000 bytes" in refusal(path)


@pytest.mark.slow
def test_ten_thousand_small_members_are_listed(tmp_path: Path) -> None:
    path = zipped(tmp_path / "many.zip", {f"{k % 100}/{k}": b"x" for k in range(10_000)})
    assert "no CT image was found among 10000 files (10000 × not a DICOM file)" in refusal(path)


def test_more_members_than_any_study_has_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MEMBER_LIMIT", 5)
    assert "6 members; at most 5 are read" in refusal(zipped(tmp_path / "m.zip", {str(k): b"x" for k in range(6)}))


def test_a_table_of_contents_that_fills_memory_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "DIRECTORY_LIMIT_BYTES", 100)
    assert "a table of contents of" in refusal(zipped(tmp_path / "m.zip", {str(k): b"x" for k in range(6)}))


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "locked.zip", {"a": b"x" * 100})
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)
    assert "a is encrypted; unpack the archive first" in refusal(path)


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_truncated_archive_is_refused(tmp_path: Path, keep: float) -> None:
    path = zipped(tmp_path / "cut.zip", series_members(tmp_path / "series"))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    assert "damaged or unreadable zip archive" in refusal(path)


def test_a_damaged_member_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "bad.zip", {"a": os.urandom(5000)})
    content = bytearray(path.read_bytes())
    content[2000] ^= 0xFF
    path.write_bytes(content)
    assert "damaged or unreadable zip archive" in refusal(path)


def test_a_link_in_an_archive_is_not_followed(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        link = zipfile.ZipInfo("passwd")
        link.external_attr = (0o120777) << 16
        made.writestr(link, "/etc/passwd")
        made.writestr("text", "x" * 300)
    (tmp_path / "link.zip").write_bytes(buffer.getvalue())
    with open_source(tmp_path / "link.zip") as source:
        with pytest.raises(NoImages, match="not a DICOM file"):
            source.studies()
        assert ("passwd", "a link") in [(one.name, one.reason) for one in source.skipped]


def test_an_empty_archive_is_told(tmp_path: Path) -> None:
    assert "no file was found" in refusal(zipped(tmp_path / "empty.zip", {}))
