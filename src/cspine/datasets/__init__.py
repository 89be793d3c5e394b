"""Data on disk and cases: phantoms written as studies, data sets indexed, filtered, split, explored and prepared.

What works on tables needs the extra ``data`` and is imported when it is first asked for, so that everything else works
without it.
"""

from typing import TYPE_CHECKING

from cspine.datasets.acceptance_folder import AcceptanceStudy, AcceptanceSuite, read_suite
from cspine.datasets.acceptance_suite import SuiteStudy, acceptance_studies, write_acceptance
from cspine.datasets.gray import LOW_CONTRAST, WINDOWS, slice_contrast, window_named
from cspine.datasets.labeled_study import (
    LabeledStudy,
    PlacedBox,
    Placement,
    SliceBox,
    StudyFiles,
    StudyLabels,
    mask_on,
    place_study,
    read_study,
    series_of,
    with_level,
)
from cspine.datasets.late import late_names as _late_names
from cspine.datasets.mask_geometry import LevelExtent, LevelOverlap, largest_piece, level_extents, level_overlaps
from cspine.datasets.nifti import nifti_bytes, rsna_mask_bytes
from cspine.datasets.phantom_plan import NO_FRACTURES, SAMPLED, Layout, PhantomPlan, Size, layout_named, size_named
from cspine.datasets.phantom_studies import write_phantoms
from cspine.datasets.phantom_truth import phantom_header, truth_document
from cspine.datasets.rsna_layout import RsnaOptions
from cspine.datasets.rsna_study import RsnaCase, write_rsna

if TYPE_CHECKING:
    from cspine.datasets.audit import Audited, Kind, Suspicion, audit_set
    from cspine.datasets.augment import Augmentation, AugmentRange, sample_augmentation
    from cspine.datasets.augment_preview import write_augmentation_preview
    from cspine.datasets.explore import Explored, ExplorePlan, MeasurePlan, PanelPlan, Subject, explore_set
    from cspine.datasets.images import Exported, ExportLayout, ExportSource, ImagePlan, Look, export_images
    from cspine.datasets.index import IndexRun, RsnaIndex, index_rsna, read_index
    from cspine.datasets.indexed import labels_of, open_or_make_index, studies_of, study_at, study_labels_of
    from cspine.datasets.prepare import (
        PARTS,
        PreparedSet,
        PreparePlan,
        SpaceNeeded,
        VertebraFinder,
        from_mask,
        from_mask_or_network,
        from_network,
        prepare_set,
        read_prepared,
        space_needed,
    )
    from cspine.datasets.video import VideoPlan, write_videos

__all__ = [
    "LOW_CONTRAST",
    "NO_FRACTURES",
    "PARTS",
    "SAMPLED",
    "WINDOWS",
    "AcceptanceStudy",
    "AcceptanceSuite",
    "Audited",
    "AugmentRange",
    "Augmentation",
    "ExplorePlan",
    "Explored",
    "ExportLayout",
    "ExportSource",
    "Exported",
    "ImagePlan",
    "IndexRun",
    "Kind",
    "LabeledStudy",
    "Layout",
    "LevelExtent",
    "LevelOverlap",
    "Look",
    "MeasurePlan",
    "PanelPlan",
    "PhantomPlan",
    "PlacedBox",
    "Placement",
    "PreparePlan",
    "PreparedSet",
    "RsnaCase",
    "RsnaIndex",
    "RsnaOptions",
    "Size",
    "SliceBox",
    "SpaceNeeded",
    "StudyFiles",
    "StudyLabels",
    "Subject",
    "SuiteStudy",
    "Suspicion",
    "VertebraFinder",
    "VideoPlan",
    "acceptance_studies",
    "audit_set",
    "explore_set",
    "export_images",
    "from_mask",
    "from_mask_or_network",
    "from_network",
    "index_rsna",
    "labels_of",
    "largest_piece",
    "layout_named",
    "level_extents",
    "level_overlaps",
    "mask_on",
    "nifti_bytes",
    "open_or_make_index",
    "phantom_header",
    "place_study",
    "prepare_set",
    "read_index",
    "read_prepared",
    "read_study",
    "read_suite",
    "rsna_mask_bytes",
    "sample_augmentation",
    "series_of",
    "size_named",
    "slice_contrast",
    "space_needed",
    "studies_of",
    "study_at",
    "study_labels_of",
    "truth_document",
    "window_named",
    "with_level",
    "write_acceptance",
    "write_augmentation_preview",
    "write_phantoms",
    "write_rsna",
    "write_videos",
]

# Name → the package or module below this one that it comes from.
_LATE = {
    "Audited": "audit",
    "Kind": "audit",
    "Suspicion": "audit",
    "audit_set": "audit",
    "AugmentRange": "augment",
    "Augmentation": "augment",
    "sample_augmentation": "augment",
    "write_augmentation_preview": "augment_preview",
    "ExplorePlan": "explore",
    "Explored": "explore",
    "MeasurePlan": "explore",
    "PanelPlan": "explore",
    "Subject": "explore",
    "explore_set": "explore",
    "ExportLayout": "images",
    "ExportSource": "images",
    "Exported": "images",
    "ImagePlan": "images",
    "Look": "images",
    "export_images": "images",
    "IndexRun": "index",
    "RsnaIndex": "index",
    "index_rsna": "index",
    "read_index": "index",
    "labels_of": "indexed",
    "open_or_make_index": "indexed",
    "study_at": "indexed",
    "study_labels_of": "indexed",
    "studies_of": "indexed",
    "PARTS": "prepare",
    "PreparePlan": "prepare",
    "PreparedSet": "prepare",
    "SpaceNeeded": "prepare",
    "VertebraFinder": "prepare",
    "from_mask": "prepare",
    "from_mask_or_network": "prepare",
    "from_network": "prepare",
    "prepare_set": "prepare",
    "read_prepared": "prepare",
    "space_needed": "prepare",
    "VideoPlan": "video",
    "write_videos": "video",
}
__getattr__ = _late_names(__name__, _LATE, "data")
