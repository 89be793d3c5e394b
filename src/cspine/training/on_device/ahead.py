"""The numbers of the next batch are drawn while the device computes this one."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from cspine.training.loop import LoopConfig

Drawn = TypeVar("Drawn")


class Ahead(Generic[Drawn]):
    """Calls a pure function of the batch number one number ahead, in a thread of its own."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self._next: tuple[tuple[int, LoopConfig], Future[Drawn]] | None = None

    def get(self, make: Callable[[int, LoopConfig], Drawn], number: int, config: LoopConfig) -> Drawn:
        """Return what `make` gives for a batch; `make` must be the same in every call."""
        if self._next is not None and self._next[0] == (number, config):
            drawn = self._next[1].result()
        else:
            drawn = make(number, config)
        self._next = None
        if number + 1 < config.steps:
            self._next = (number + 1, config), self._pool.submit(make, number + 1, config)
        return drawn


__all__ = ["Ahead"]
