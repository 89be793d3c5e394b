"""SNOMED codes agree with the dictionary of pydicom."""

import pytest
from pydicom.sr.codedict import codes

from cspine.dicom import CERVICAL_SPINE, VERTEBRA_CODES
from cspine.domain import CERVICAL, Vertebra


@pytest.mark.parametrize("vertebra", [*CERVICAL, Vertebra.T1])
def test_vertebrae_have_the_codes_of_context_group_7603(vertebra: Vertebra) -> None:
    ours, theirs = VERTEBRA_CODES[vertebra], getattr(codes.SCT, f"{vertebra.name}Vertebra")
    assert (ours.value, ours.scheme, ours.meaning) == (theirs.value, theirs.scheme_designator, theirs.meaning)
    assert theirs in codes.cid7603.concepts.values()


def test_the_cervical_spine_has_its_code() -> None:
    theirs = codes.SCT.CervicalSpine
    assert (CERVICAL_SPINE.value, CERVICAL_SPINE.meaning) == (theirs.value, theirs.meaning)
