"""Figures and tables of a data set on one page. Needs the extra ``data``."""

from cspine.datasets.explore.exhibits import sections
from cspine.datasets.explore.material import Exhibit, Material, PanelPlan, Section
from cspine.datasets.explore.measure import MeasurePlan, measure_study
from cspine.datasets.explore.run import Explored, ExplorePlan, Subject, explore_set

__all__ = [
    "Exhibit",
    "ExplorePlan",
    "Explored",
    "Material",
    "MeasurePlan",
    "PanelPlan",
    "Section",
    "Subject",
    "explore_set",
    "measure_study",
    "sections",
]
