"""Codes of what cspine speaks of, as DICOM uses them (vertebrae: PS3.16 CID 7603; values checked against pydicom)."""

from dataclasses import dataclass

from cspine.domain import Vertebra

SNOMED = "SCT"


@dataclass(frozen=True)
class Code:
    """A coded concept: value, coding scheme designator, meaning."""

    value: str
    scheme: str
    meaning: str


VERTEBRA_CODES: dict[Vertebra, Code] = {
    Vertebra.C1: Code("14806007", SNOMED, "C1 vertebra"),
    Vertebra.C2: Code("39976000", SNOMED, "C2 vertebra"),
    Vertebra.C3: Code("113205007", SNOMED, "C3 vertebra"),
    Vertebra.C4: Code("5329002", SNOMED, "C4 vertebra"),
    Vertebra.C5: Code("36978003", SNOMED, "C5 vertebra"),
    Vertebra.C6: Code("36054005", SNOMED, "C6 vertebra"),
    Vertebra.C7: Code("87391001", SNOMED, "C7 vertebra"),
    Vertebra.T1: Code("64864005", SNOMED, "T1 vertebra"),
}
VERTEBRA = Code("51282000", SNOMED, "Vertebra")
ANATOMICAL_STRUCTURE = Code("91723000", SNOMED, "Anatomical Structure")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")
CERVICAL_SPINE = Code("122494005", SNOMED, "Cervical spine")
