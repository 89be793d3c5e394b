"""Where a training computes, and in which numbers: Lightning's Fabric by name, its refusals in our own words."""

from dataclasses import dataclass
from typing import Any

import lightning
import torch

from cspine.domain import ConfigError
from cspine.training.names import pick

PRECISIONS = {"f32": "32-true", "bf16": "bf16-mixed", "f16": "16-mixed"}


@dataclass(frozen=True)
class Place:
    """Where a training computes; not part of a recipe, because the result should not depend on it."""

    device: str = "auto"
    """auto, cpu, cuda or mps."""
    precision: str = "f32"
    """f32, bf16 or f16: weights are f32 always, layers compute in what is said."""
    on_device: bool | None = None
    """Draw the samples of phantoms there, too, from cases held in its memory; ``None``: with CUDA."""

    def __post_init__(self) -> None:
        pick(PRECISIONS, self.precision, "precision")

    def checked(self) -> "Place":
        """Return the same place; raises as `fabric_on` where there is no such device, before anything is made."""
        fabric_on(self, devices=1)
        return self

    @property
    def draws_samples(self) -> bool:
        """Whether samples are drawn where the network computes."""
        return device_named(self.device).type == "cuda" if self.on_device is None else self.on_device


ANYWHERE = Place()


def fabric_on(place: Place, *, joined: bool = False, **options: Any) -> lightning.Fabric:
    """Return the Fabric of a place.

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
        fabric = lightning.Fabric(accelerator=place.device, precision=PRECISIONS[place.precision], **options)
        if joined:
            fabric.launch()
    except (RuntimeError, ValueError, lightning.fabric.utilities.exceptions.MisconfigurationException) as error:
        first = str(error).strip().splitlines()[0]
        raise ConfigError(f"device {place.device!r} cannot be used here ({first}); use auto or cpu") from error
    return fabric


def device_named(device: str) -> torch.device:
    """Return where one process computes; raises as `fabric_on`."""
    found: torch.device = fabric_on(Place(device), devices=1).device
    return found
