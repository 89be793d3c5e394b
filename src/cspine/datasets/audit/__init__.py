"""Labels, boxes and masks that contradict each other or the images, worst first."""

from cspine.datasets.audit.checks import CHECKS, Kind, Suspicion, audit_study
from cspine.datasets.audit.run import Audited, audit_set

__all__ = ["CHECKS", "Audited", "Kind", "Suspicion", "audit_set", "audit_study"]
