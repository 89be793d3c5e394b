"""What a system gives to a bundle: networks, what their outputs mean, and how images become inputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn


@dataclass(frozen=True)
class ExportedNetwork:
    """One network with its weights, in evaluation mode.

    Attributes
    ----------
    graph
        Its name in the bundle.
    shape
        Of one sample; the graph takes any number of them.
    input, outputs
        Names of the graph's input and outputs.
    """

    graph: str
    network: nn.Module
    shape: tuple[int, ...]
    input: str
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Exported:
    """All that a bundle says of a run besides its documents.

    Attributes
    ----------
    title
        Heading of the card.
    answers
        What the graphs answer, in sentences.
    labels
        Output → names in channel order.
    preprocess
        Plain JSON.
    """

    title: str
    answers: str
    networks: tuple[ExportedNetwork, ...]
    labels: Mapping[str, tuple[str, ...]]
    preprocess: Mapping[str, Any]
