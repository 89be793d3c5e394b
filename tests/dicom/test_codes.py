"""SNOMED codes agree with the dictionary of pydicom."""

import pytest
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code as Coded

from cspine.dicom import (
    ANATOMICAL_STRUCTURE,
    ARTIFICIAL_INTELLIGENCE,
    CERVICAL_SPINE,
    VERTEBRA,
    VERTEBRA_CODES,
    Code,
)
from cspine.domain import CERVICAL, Vertebra


@pytest.mark.parametrize("vertebra", [*CERVICAL, Vertebra.T1])
def test_vertebrae_have_the_codes_of_context_group_7603(vertebra: Vertebra) -> None:
    ours, theirs = VERTEBRA_CODES[vertebra], getattr(codes.SCT, f"{vertebra.name}Vertebra")
    assert (ours.value, ours.scheme, ours.meaning) == (theirs.value, theirs.scheme_designator, theirs.meaning)
    assert theirs in codes.cid7603.concepts.values()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (CERVICAL_SPINE, codes.SCT.CervicalSpine),
        (VERTEBRA, codes.SCT.Vertebra),
        (ANATOMICAL_STRUCTURE, codes.SCT.AnatomicalStructure),
        (ARTIFICIAL_INTELLIGENCE, codes.cid7162.ArtificialIntelligence),
    ],
)
def test_the_other_concepts_have_their_codes(ours: Code, theirs: Coded) -> None:
    assert (ours.value, ours.scheme, ours.meaning) == (theirs.value, theirs.scheme_designator, theirs.meaning)
