"""Bodies of several parts come back as they were written, in whatever chunks, and hostile ones end in an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspine.domain import Rejected
from cspine.stores.dicomweb.multipart import PartReader, boundary_of, written

PARTS = st.lists(st.binary(max_size=60), min_size=1, max_size=4)


def _chunks(body: bytes, size: int) -> list[bytes]:
    return [body[k : k + size] for k in range(0, len(body), size)]


@given(PARTS, st.integers(1, 50))
def test_parts_come_back_whatever_the_chunks(parts, size):
    kind, body = written(parts)
    boundary = boundary_of(kind)
    assert boundary is not None
    assert list(PartReader(_chunks(body, size), boundary, 1000)) == parts


@given(PARTS, st.integers(1, 200))
def test_a_body_that_is_cut_is_noticed(parts, cut):
    kind, body = written(parts)
    boundary = boundary_of(kind)
    assert boundary is not None
    shorter = body[: -min(cut + 4, len(body))]
    with pytest.raises(Rejected, match="ends in the midst"):
        list(PartReader([shorter], boundary, 1000))


def test_a_part_or_a_header_beyond_its_limit_is_not_collected():
    with pytest.raises(Rejected, match="a part of more than 100 bytes"):
        list(PartReader(iter([b"--b\r\n\r\n", *[b"x" * 64] * 1000]), b"b", 100))
    with pytest.raises(Rejected, match="a part of more than 16384 bytes"):
        list(PartReader(iter([b"--b\r\n", *[b"h: x\r\n"] * 10_000]), b"b", 100))


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ('multipart/related; type="application/dicom"; boundary=abc', b"abc"),
        ('multipart/related; boundary="a b"; type="application/dicom"', b"a b"),
        ("Multipart/Related;BOUNDARY=abc", b"abc"),
        ("application/json", None),
        ("multipart/related", None),
        (f"multipart/related; boundary={'x' * 500}", None),
    ],
)
def test_a_boundary_is_found_where_there_is_one(content_type, boundary):
    assert boundary_of(content_type) == boundary
