"""ONNX Runtime on the CPU: the portable engine, f32 only."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from cspine.domain import ConfigError
from cspine.models.manifest import Precision


class OnnxRuntimeRunner:
    """A session of ONNX Runtime; it is safe to call from several threads."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._outputs = [o.name for o in session.get_outputs()]

    def infer(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return every output by name."""
        with _translated():
            values = self._session.run(self._outputs, dict(inputs))
        return dict(zip(self._outputs, values, strict=True))


def make_runner(data: bytes, threads: int, precision: Precision) -> tuple[OnnxRuntimeRunner, list[str], list[str]]:
    """Load an ONNX model; return it with its input and output names.

    Raises
    ------
    ConfigError
        ONNX Runtime is not installed.
    """
    assert precision is Precision.F32, "the caller knows that this engine computes in f32"
    try:
        import onnxruntime  # noqa: PLC0415  # an optional dependency
    except ImportError as error:
        raise ConfigError(
            "the engine onnxruntime is not installed; install it with: pip install 'cspine[onnxruntime]'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors only: the library would write to stderr
    with _translated():
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return OnnxRuntimeRunner(session), [i.name for i in session.get_inputs()], [o.name for o in session.get_outputs()]


@contextmanager
def _translated() -> Iterator[None]:
    """Raise the library's own errors, which share no base class, as ``RuntimeError``."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state  # noqa: PLC0415  # an optional dependency

    foreign = tuple(v for v in vars(state).values() if isinstance(v, type) and issubclass(v, Exception))
    try:
        yield
    except foreign as error:
        raise RuntimeError(str(error)) from error
