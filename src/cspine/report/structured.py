"""DICOM SR by TID 1500: what is said of the study, of each vertebra and of each suspected fracture, with places.

A level that was not assessed is an item that says so, with the reason; silence never stands for a negative.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import highdicom
import numpy as np
from pydicom import Dataset
from pydicom.uid import UID, SegmentationStorage

from cspine.dicom import (
    ARTIFICIAL_INTELLIGENCE,
    CERVICAL_SPINE,
    COMMENT,
    CT_OF_CERVICAL_SPINE,
    DECISION_CODES,
    DEVICE,
    FRACTURE,
    FRACTURE_DECISION,
    FRACTURE_PROBABILITY,
    NO_UNITS,
    NOTICE,
    PRIVATE,
    VERTEBRA,
    VERTEBRA_CODES,
    VISIBLE_FRACTION,
    Code,
    DerivedObject,
    LoadedSeries,
    derived_header,
    derived_uid,
    derived_uids,
    frame_of_reference,
    image_references,
)
from cspine.domain import NEVER_ASSESSED, Analysis, Decision, Location, VertebraFinding
from cspine.report.document import all_flags
from cspine.report.finish import algorithm, concept, equipment, finished, highdicom_identity
from cspine.report.locate import ImageRegion, image_region
from cspine.report.pictures import numbered_locations
from cspine.report.possible import no_vertebra
from cspine.report.regions import box_outline_lps_mm, check_regions
from cspine.report.segmentation import VERTEBRAE_OBJECT

SR_OBJECT = DerivedObject("sr", "SR", 9903, "findings")


def render_sr(analysis: Analysis, source: LoadedSeries, timings_s: Mapping[str, float]) -> bytes:
    """Return the findings as a Comprehensive 3D SR.

    Raises
    ------
    RenderError
        A place does not lie on the source when read back.
    """
    header = derived_header(analysis, source, SR_OBJECT)
    evidence = [*_segmentation(analysis, source), *_images(source)]
    report = highdicom.sr.MeasurementReport(
        observation_context=_observer(analysis),
        procedure_reported=concept(CT_OF_CERVICAL_SPINE),
        imaging_measurements=list(_groups(analysis, source)),
    )
    made = highdicom.sr.Comprehensive3DSR(
        evidence=evidence or image_references(source)[:1],
        content=report[0],
        is_complete=True,
        is_final=False,
        is_verified=False,
        record_evidence=True,
        **highdicom_identity(analysis, header),
        **equipment(header),
    )
    scheme = Dataset()
    scheme.CodingSchemeDesignator, scheme.CodingSchemeName = PRIVATE, "Private codes of cspine"
    scheme.CodingSchemeResponsibleOrganization = "cspine"
    made.CodingSchemeIdentificationSequence = [scheme]
    document = finished(made, analysis, source, SR_OBJECT)
    check_regions(document, analysis.findings, source)
    return document


def _segmentation(analysis: Analysis, source: LoadedSeries) -> list[Dataset]:
    """Return a header of the SEG of the vertebrae, whose UIDs are known before it is made."""
    if no_vertebra(analysis, source) is not None:
        return []
    segmentation = derived_header(analysis, source, VERTEBRAE_OBJECT)
    segmentation.SOPClassUID = SegmentationStorage
    return [segmentation]


def _observer(analysis: Analysis) -> Any:
    findings = analysis.findings
    device = highdicom.sr.DeviceObserverIdentifyingAttributes(
        uid=derived_uid("device", findings.model_id, findings.software),
        name="cspine",
        manufacturer_name="cspine",
        model_name=findings.model_name,
        serial_number=findings.model_id,
    )
    context = highdicom.sr.ObserverContext(concept(DEVICE), device)
    return highdicom.sr.ObservationContext(observer_device_context=context)


def _groups(analysis: Analysis, source: LoadedSeries) -> Iterator[Any]:
    findings = analysis.findings
    flags = [f"{flag.code.value}: {flag.message}" for flag in all_flags(findings, source)]
    never = f"Never assessed: {', '.join(NEVER_ASSESSED)}."
    study = highdicom.sr.MeasurementsAndQualitativeEvaluations(
        **_said(analysis, source, _Claim("Study", CERVICAL_SPINE, findings.decision, findings.probability)),
        finding_type=concept(FRACTURE),
    )
    yield _with_comments(study, [NOTICE, never, *flags])
    for finding in findings.vertebrae:
        yield _vertebra(finding, analysis, source)
    owners = [f for f in findings.vertebrae for _ in f.locations]
    for (number, place), owner in zip(numbered_locations(findings), owners, strict=True):
        yield from _location(number, place, VERTEBRA_CODES[owner.vertebra], analysis, source)


@dataclass(frozen=True)
class _Claim:
    """What is said of one place: its name and code, decision and probability where there are any."""

    name: str
    site: Code
    decision: Decision | None
    probability: float | None


def _said(analysis: Analysis, source: LoadedSeries, claim: _Claim) -> dict[str, Any]:
    """Return what every group says, by the keywords of highdicom's groups."""
    uid = derived_uid("finding", derived_uids(analysis, source, SR_OBJECT.kind)[1], claim.name)
    evaluations = []
    if claim.decision is not None:
        evaluations = [
            highdicom.sr.QualitativeEvaluation(concept(FRACTURE_DECISION), concept(DECISION_CODES[claim.decision]))
        ]
    measured = [] if claim.probability is None else [_measurement(FRACTURE_PROBABILITY, claim.probability)]
    return {
        "tracking_identifier": highdicom.sr.TrackingIdentifier(uid=uid, identifier=claim.name),
        "algorithm_id": highdicom.sr.AlgorithmIdentification(
            family=concept(ARTIFICIAL_INTELLIGENCE), **algorithm(analysis)
        ),
        "finding_sites": [highdicom.sr.FindingSite(concept(claim.site))],
        "measurements": measured,
        "qualitative_evaluations": evaluations,
    }


def _measurement(name: Code, value: float) -> Any:
    return highdicom.sr.Measurement(name=concept(name), value=round(float(value), 6), unit=concept(NO_UNITS))


def _vertebra(finding: VertebraFinding, analysis: Analysis, source: LoadedSeries) -> Any:
    site = VERTEBRA_CODES[finding.vertebra]
    said = _said(analysis, source, _Claim(finding.vertebra.name, site, finding.decision, finding.probability))
    said["measurements"].append(_measurement(VISIBLE_FRACTION, finding.visible_fraction))
    if (analysis.labels.labels == finding.vertebra).any():
        group = highdicom.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            **said,
            finding_type=concept(VERTEBRA),
            referenced_segment=highdicom.sr.ReferencedSegment(
                SegmentationStorage,
                derived_uids(analysis, source, VERTEBRAE_OBJECT.kind)[1],
                int(finding.vertebra),
                source_series=highdicom.sr.SourceSeriesForSegmentation(source.header.series_instance_uid or ""),
            ),
        )
    else:
        group = highdicom.sr.MeasurementsAndQualitativeEvaluations(**said, finding_type=concept(VERTEBRA))
    comments = [f"Not assessed: {finding.reason}"] if finding.decision is Decision.NOT_ASSESSED else []
    if finding.decision is not Decision.NOT_ASSESSED and finding.reason:
        comments.append(finding.reason)
    return _with_comments(group, [*comments, *([f"Might instead be: {finding.mimic}"] if finding.mimic else [])])


def _location(number: int, place: Location, site: Code, analysis: Analysis, source: LoadedSeries) -> Iterator[Any]:
    """Yield one suspected fracture in the patient, and on its image where there is one, as one tracked finding."""
    outline = box_outline_lps_mm(place.box_lps_mm)
    regions = [highdicom.sr.ImageRegion3D("POLYGON", outline, frame_of_reference(source))]
    on_image = image_region(place.box_lps_mm, source)
    if on_image is not None:
        regions.append(_on_image(on_image))
    for region in regions:
        group = highdicom.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            **_said(analysis, source, _Claim(f"F{number}", site, None, place.probability)),
            finding_type=concept(FRACTURE),
            referenced_region=region,
        )
        yield _with_comments(group, [f"Suggested type: {place.type}"] if place.type else [])


def _images(source: LoadedSeries) -> list[Dataset]:
    """Return the images of the series, each once: of a multi-frame image regions name the frame."""
    images: dict[str, Dataset] = {}
    for image, one in zip(image_references(source), source.slices, strict=False):
        image.SOPClassUID, image.SOPInstanceUID = UID(one.sop_class_uid), UID(one.sop_instance_uid)
        images.setdefault(one.sop_instance_uid, image)
    return list(images.values())


def _on_image(region: ImageRegion) -> Any:
    x, y, width, height = region.pixel_box
    outline = np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height], [x, y]], dtype=float)
    frames = None if region.image.frame_number is None else [region.image.frame_number]
    image = highdicom.sr.SourceImageForRegion(region.image.sop_class_uid, region.image.sop_instance_uid, frames)
    return highdicom.sr.ImageRegion("POLYLINE", outline, image)


def _with_comments(group: Any, comments: list[str]) -> Any:
    """Add sentences to a group inplace, and return it."""
    for text in comments:
        item = highdicom.sr.TextContentItem(concept(COMMENT), text, highdicom.sr.RelationshipTypeValues.CONTAINS)
        group[0].ContentSequence.append(item)
    return group
