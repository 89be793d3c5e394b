"""OpenVINO on the CPU."""

from collections.abc import Mapping
from functools import cache
from threading import Lock
from typing import Any

import numpy as np
import openvino as ov

from cspine.domain import BundleIncompatible
from cspine.models.manifest import Precision, TensorSpec

DEVICE = "CPU"
# Voxels of a whole scan at the spacing of its network from which on its memory counts for more than a compilation.
LARGE_VALUES = 1_000_000


@cache
def _core() -> Any:
    """Return the one core of the process, which never goes away.

    On processors with AMX a core gives the thread that makes it a stack for signals, and gives back at its end the one
    that was there before. Of two cores that end in the order in which they began, the second gives back the stack of
    the first, which is no more: the next signal that Python handles, of a child that ends or of a service that is
    stopped, kills the process.
    """
    return ov.Core()


class OpenVinoRunner:
    """A compiled model of inputs of one size, with one inference request whose memory serves every run."""

    def __init__(self, compiled: Any) -> None:
        self._request = compiled.create_infer_request()
        self._outputs = _output_numbers(compiled)
        self._lock = Lock()

    def infer(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return copies of every output by name."""
        with self._lock:
            # share_inputs spares a copy: the arrays are contiguous, and outlive the blocking call.
            self._request.infer(dict(inputs), share_inputs=True)
            return _copies(self._request, self._outputs)


class OpenVinoScanRunner:
    """A model of whole scans, which differ in size: the memory of one is given back before the next.

    What lies between input and output of a scan takes hundreds of megabytes, which the later stages need more. A model
    for any size keeps all of it to the end of a run; for a large scan it is compiled anew for that very size, which
    takes tenths of a second and lets layers have the memory of those before them. The numbers are the same.
    """

    def __init__(self, compiled: Any, model: Any, settings: Mapping[str, Any]) -> None:
        self._compiled, self._model, self._settings = compiled, model, settings
        self._outputs = _output_numbers(compiled)
        self._lock = Lock()

    def infer(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return copies of every output by name."""
        with self._lock:
            compiled = self._for(inputs)
            request = compiled.create_infer_request()
            request.infer(dict(inputs), share_inputs=True)
            compiled.release_memory()  # all but the outputs, which go with the request
            return _copies(request, self._outputs)

    def _for(self, inputs: Mapping[str, np.ndarray]) -> Any:
        if sum(array.size for array in inputs.values()) < LARGE_VALUES:
            return self._compiled
        fitted = self._model.clone()
        fitted.reshape({name: list(array.shape) for name, array in inputs.items()})
        return _core().compile_model(fitted, DEVICE, self._settings)


def make_runner(
    data: bytes, threads: int, precision: Precision
) -> tuple[OpenVinoRunner | OpenVinoScanRunner, list[str], list[str]]:
    """Compile an ONNX model; return it with its input and output names.

    Dynamic shapes stay dynamic: on a 3-D U-Net that costs about 10 % of a run, a compilation per shape costs more.
    """
    core = _core()
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": precision.value,
        # No pinning: several studies at once would be pinned to the same cores.
        "ENABLE_CPU_PINNING": False,
    }
    model = core.read_model(data)
    compiled = core.compile_model(model, DEVICE, settings)
    names = [[port.get_any_name() for port in side] for side in (compiled.inputs, compiled.outputs)]
    takes_scans = any(d.is_dynamic for port in compiled.inputs for d in list(port.get_partial_shape())[1:])
    runner = OpenVinoScanRunner(compiled, model, settings) if takes_scans else OpenVinoRunner(compiled)
    return runner, names[0], names[1]


def has_bf16() -> bool:
    """Tell whether this processor computes in bf16."""
    return "BF16" in _core().get_property(DEVICE, "OPTIMIZATION_CAPABILITIES")


def describe_graph(data: bytes, name: str) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Return inputs and outputs of an ONNX model, in the model's order.

    Raises
    ------
    BundleIncompatible
        OpenVINO cannot read it.
    """
    try:
        model = _core().read_model(data)
    except RuntimeError as error:
        raise BundleIncompatible(f"graph {name!r} is no ONNX model that OpenVINO reads ({error})") from error
    return _tensors(model.inputs), _tensors(model.outputs)


def _output_numbers(compiled: Any) -> dict[str, int]:
    return {port.get_any_name(): i for i, port in enumerate(compiled.outputs)}


def _copies(request: Any, outputs: Mapping[str, int]) -> dict[str, np.ndarray]:
    return {k: np.array(request.get_output_tensor(i).data) for k, i in outputs.items()}


def _tensors(ports: list[Any]) -> tuple[TensorSpec, ...]:
    specs = []
    for port in ports:
        shape = tuple(int(d.get_length()) if d.is_static else None for d in port.get_partial_shape())
        specs.append(TensorSpec(port.get_any_name(), shape))
    return tuple(specs)
