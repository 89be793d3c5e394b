"""SNOMED CT codes of what cspine speaks of, as DICOM uses them (PS3.16 CID 7304, CID 12)."""
