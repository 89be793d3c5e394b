"""A study of an archive as a source, and the file that lets one in."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from cspine.dicom import SeriesEntry, StudyEntry, StudyQuery
from cspine.domain import ConfigError, NoImages, Rejected
from cspine.stores import Inbox, Receipt, RemoteSource, read_access
from tests.stores.objects import ct_file


class Archive:
    """An archive that says it has more than it gives."""

    name = "archive"

    def __init__(self, said: int | None, given: int) -> None:
        self._said, self._given = said, given

    def echo(self) -> None: ...

    def find_studies(self, query: StudyQuery, limit: int) -> list[StudyEntry]:
        return []

    def find_series(self, study_uid: str) -> list[SeriesEntry]:
        return [
            SeriesEntry("1.2.3.1", "CT", "", self._said),
            SeriesEntry("1.2.3.9", "SR", "", 1),
        ]

    def fetch(self, study_uid: str, series_uid: str, inbox: Inbox) -> None:
        assert series_uid == "1.2.3.1"
        for number in range(self._given):
            inbox.put(ct_file("1.2.3", number))

    def send(self, name: str, content: bytes) -> Receipt:
        raise AssertionError

    def send_all(self, documents: Mapping[str, bytes]) -> tuple[Receipt, ...]:
        raise AssertionError


def test_half_a_study_is_refused_with_the_count():
    with (
        pytest.raises(Rejected, match=r"archive gave 2 of the 5 images of series 1\.2\.3\.1; it may still be filling"),
        RemoteSource(Archive(5, 2), "1.2.3") as source,
    ):
        source.studies()


def test_an_archive_that_does_not_count_is_believed_and_other_series_are_told():
    with RemoteSource(Archive(None, 3), "1.2.3") as source:
        (study,) = source.studies()
        assert study.study_uid == "1.2.3"
        assert [(one.name, one.reason) for one in source.skipped] == [
            ("series 1.2.3.9", "of modality SR, not CT; not fetched")
        ]


def test_an_archive_that_gives_nothing_is_said():
    with pytest.raises(NoImages, match="gave no image"), RemoteSource(Archive(None, 0), "1.2.3") as source:
        source.studies()


@pytest.mark.parametrize("uid", ["1.2.*", "", "1.2\\1.3", "a"])
def test_a_study_that_is_no_uid_is_not_asked_for(uid):
    with pytest.raises(ConfigError, match="must be a UID"):
        RemoteSource(Archive(1, 1), uid)


def _file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "access.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_an_access_file_is_read_with_its_files_beside_it(tmp_path):
    access = read_access(_file(tmp_path, 'token = "t"\nca_file = "ca.pem"\n'))
    assert (access.token, access.tls.ca_file, access.has_secret) == ("t", tmp_path / "ca.pem", True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("token = ", "is no TOML"),
        ('tokn = "x"', "unknown setting 'tokn'; there are token, user, password, cert_file, key_file, ca_file"),
        ("token = 7", "token must be a text"),
        ('user = "u"', "a user needs a password"),
        ('token = "t"\nuser = "u"\npassword = "p"', "a token and a user are both given"),
    ],
)
def test_a_wrong_access_file_is_explained_without_its_secrets(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        read_access(_file(tmp_path, text))


def test_an_access_file_that_others_may_read_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="may be read by others; take that away with: chmod 600"):
        read_access(_file(tmp_path, 'token = "t"', 0o640))
