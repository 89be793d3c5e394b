"""What stops a training, and what to do about it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from cspine.domain import TrainingStopped

# What the allocators of the CPU say; CUDA's error has a class of its own.
MEMORY_WORDS = ("not enough memory", "can't allocate memory", "out of memory", "bad allocation")


@contextmanager
def memory_advice(batch: int, accumulate: int) -> Iterator[None]:
    """Translate an exhausted memory into what to set instead.

    Raises
    ------
    TrainingStopped
        In place of the allocator's error.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise TrainingStopped(_advice(batch, accumulate)) from error
    except RuntimeError as error:
        if not any(words in str(error).lower() for words in MEMORY_WORDS):
            raise
        raise TrainingStopped(_advice(batch, accumulate)) from error


def _advice(batch: int, accumulate: int) -> str:
    if batch == 1:
        return (
            "out of memory with one sample per forward pass; use a smaller image, a smaller network or precision bf16"
        )
    smaller = max(d for d in range(1, batch) if batch % d == 0)
    return (
        f"out of memory with {batch} samples per forward pass; the same steps need less with "
        f"batch={smaller} and accumulate={accumulate * batch // smaller}, or with precision bf16"
    )


def stopped_by_loss(value: float, where: str, names: list[str], saved: str) -> TrainingStopped:
    """Return the error of a loss that is not a number.

    Parameters
    ----------
    where
        Epoch and step.
    names
        The samples of the batch.
    saved
        Where the weights of before the step are.
    """
    return TrainingStopped(
        f"{where}: the loss is {value} on the batch of {', '.join(names)}; "
        f"the weights of before this step are in {saved}. "
        "Look at these samples; if they are sound, lower learning_rate, set clip=1, or use precision f32"
    )
