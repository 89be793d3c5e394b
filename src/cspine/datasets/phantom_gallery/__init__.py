"""One page with every fracture type and every mimic of the phantom, for those who judge by eye."""

from cspine.datasets.phantom_gallery.build import write_gallery
from cspine.datasets.phantom_gallery.plan import Cell, GalleryPlan, cells_of

__all__ = ["Cell", "GalleryPlan", "cells_of", "write_gallery"]
