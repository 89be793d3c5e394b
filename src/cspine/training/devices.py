"""Where a training computes: Lightning's Fabric on a device by name, its refusals in our own words."""

from typing import Any

import lightning
import torch

from cspine.domain import ConfigError


def fabric_on(device: str, *, joined: bool = False, **options: Any) -> lightning.Fabric:
    """Return the Fabric of auto, cpu, cuda or mps.

    Parameters
    ----------
    joined
        Below ``torchrun``: wait for the other processes.

    Raises
    ------
    ConfigError
        There is no such device here, or it cannot do what the options ask for.
    """
    try:
        fabric = lightning.Fabric(accelerator=device, **options)
        if joined:
            fabric.launch()
    except (RuntimeError, ValueError, lightning.fabric.utilities.exceptions.MisconfigurationException) as error:
        first = str(error).strip().splitlines()[0]
        raise ConfigError(f"device {device!r} cannot be used here ({first}); use auto or cpu") from error
    return fabric


def device_named(device: str) -> torch.device:
    """Return where one process computes; raises as `fabric_on`."""
    found: torch.device = fabric_on(device, devices=1).device
    return found
