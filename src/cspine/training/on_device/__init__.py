"""Samples that are drawn in whole batches where the network computes, for accelerators that outrun processors."""

from cspine.training.on_device.coarse_batches import HeldCoarseTask
from cspine.training.on_device.refine_batches import HeldRefineTask

__all__ = ["HeldCoarseTask", "HeldRefineTask"]
