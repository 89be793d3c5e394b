"""Fractures put into real CT: the engine of the phantom on vertebra masks, matched to the scan's blur and noise."""

from cspine.phantom.insertion.insert import Inserted, insert_at, insert_fracture, prepare_site
from cspine.phantom.insertion.look import ScanLook, look_of
from cspine.phantom.insertion.site import Site

__all__ = ["Inserted", "ScanLook", "Site", "insert_at", "insert_fracture", "look_of", "prepare_site"]
