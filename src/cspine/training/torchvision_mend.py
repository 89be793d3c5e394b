"""Make `import torchvision` work beside a CPU build of torch.

timm and torchmetrics import torchvision. Its wheel on the package index is built for CUDA: beside a CPU build of torch
its compiled operators cannot load, and the import ends with ``operator torchvision::nms does not exist``. The mend
declares the two operators that the import registers fakes for; they stay without a kernel, and nothing here calls them.
Where torchvision imports as it should, nothing is touched. It happens when this module is imported, before anything
else of `cspine.training`. See ``docs/decisions``, the page on timm.
"""

import importlib
import sys
from functools import cache

import torch

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
SYMPTOM = "operator torchvision::nms does not exist"


@cache
def mend_torchvision() -> bool:
    """Import torchvision, mended where it has to be; return whether it was mended.

    Without torchvision nothing happens: networks from timm then say what is missing.
    """
    try:
        importlib.import_module("torchvision")
    except ModuleNotFoundError:
        return False
    except RuntimeError as error:
        if SYMPTOM not in str(error):
            raise
        _forget_half_imported()
        _declared()
        importlib.import_module("torchvision")
        return True
    return False


@cache  # the declarations live as long as this object does
def _declared() -> torch.library.Library:
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]  # torch has no annotation
    for schema in SCHEMAS:
        library.define(schema)  # type: ignore[no-untyped-call]  # torch has no annotation
    return library


def _forget_half_imported() -> None:
    for name in [name for name in sys.modules if name.split(".", 1)[0] == "torchvision"]:
        del sys.modules[name]


MENDED = mend_torchvision()
