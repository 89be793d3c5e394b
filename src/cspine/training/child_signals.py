"""Lets a data loader watch its processes, and takes its signal handler away afterward.

A loader with processes of its own installs a handler of SIGCHLD and leaves it there for good: a later child of any
kind (one that decodes pixels, for instance) would run it at its end.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from torch.utils.data._utils import signal_handling


@contextmanager
def loader_signals() -> Iterator[None]:
    """Restore the handler of SIGCHLD at the end; nothing happens outside the main thread, where loaders set none."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGCHLD"):
        yield
        return
    before, was_set = signal.getsignal(signal.SIGCHLD), signal_handling._SIGCHLD_handler_set
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, before if before is not None else signal.SIG_DFL)
        signal_handling._SIGCHLD_handler_set = was_set


__all__ = ["loader_signals"]
