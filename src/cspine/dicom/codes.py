"""Codes of what cspine speaks of, as DICOM uses them (vertebrae: PS3.16 CID 7603; values checked against pydicom)."""

from dataclasses import dataclass

from cspine.domain import Decision, Vertebra

SNOMED = "SCT"
PRIVATE = "99CSPINE"


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
ALTERED_STRUCTURE = Code("49755003", SNOMED, "Morphologically Abnormal Structure")
FRACTURE = Code("72704001", SNOMED, "Fracture")
CT_OF_CERVICAL_SPINE = Code("241541005", SNOMED, "CT of cervical spine")
NO_UNITS = Code("1", "UCUM", "no units")
COMMENT = Code("121106", "DCM", "Comment")
DEVICE = Code("121007", "DCM", "Device")
PROCESSING_EQUIPMENT = Code("109102", "DCM", "Processing Equipment")

# Our own scheme, for what DICOM has no code for: docs/decisions, "Private codes".
FRACTURE_PROBABILITY = Code("FX-PROBABILITY", PRIVATE, "Probability of fracture")
VISIBLE_FRACTION = Code("VISIBLE-FRACTION", PRIVATE, "Visible fraction of vertebra")
FRACTURE_DECISION = Code("FX-DECISION", PRIVATE, "Decision about fracture")
DECISION_CODES: dict[Decision, Code] = {
    Decision.RULE_OUT: Code("RULE-OUT", PRIVATE, "Rule-out"),
    Decision.UNCERTAIN: Code("UNCERTAIN", PRIVATE, "Uncertain"),
    Decision.RULE_IN: Code("RULE-IN", PRIVATE, "Rule-in"),
    Decision.NOT_ASSESSED: Code("NOT-ASSESSED", PRIVATE, "Not assessed"),
}
