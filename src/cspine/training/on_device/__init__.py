"""Samples that are drawn in whole batches where the network computes, for accelerators that outrun processors."""
