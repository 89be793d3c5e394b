"""Run one graph of a bundle with one of two engines. Engines are imported when they are first asked for.

OpenVINO is the default. ONNX Runtime is the portable alternative (extra ``onnxruntime``); it computes in f32 only.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Protocol, TypeVar

import numpy as np

from cspine.domain import BundleError, BundleIncompatible, ConfigError
from cspine.models.bundle import ModelBundle
from cspine.models.manifest import GraphSpec, Precision, TensorSpec


class Engine(StrEnum):
    """What runs the graphs."""

    OPENVINO = "openvino"
    ONNXRUNTIME = "onnxruntime"


class Runner(Protocol):
    """A compiled graph of one engine."""

    def infer(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return every output by name."""


class Session:
    """One graph, ready to run. Calls from several threads are served one after the other.

    Attributes
    ----------
    spec
        Inputs and outputs.
    engine, precision
        What runs it, and the arithmetic that is really used.
    """

    def __init__(self, name: str, spec: GraphSpec, engine: Engine, precision: Precision, runner: Runner) -> None:
        self.name = name
        self.spec = spec
        self.engine = engine
        self.precision = precision
        self._runner = runner

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the graph once.

        Parameters
        ----------
        inputs
            By name; converted to float32 in C order where they are not.

        Returns
        -------
        dict[str, np.ndarray]
            By name; float32, C order, owned by the caller.

        Raises
        ------
        ValueError
            Names or shapes differ from the graph's.
        BundleError
            The engine failed.
        """
        wanted = {t.name: t for t in self.spec.inputs}
        if inputs.keys() != wanted.keys():
            raise ValueError(f"graph {self.name!r} takes {sorted(wanted)}, got {sorted(inputs)}")
        ready = {k: np.ascontiguousarray(v, dtype=np.float32) for k, v in inputs.items()}
        for key, array in ready.items():
            _check_shape(self.name, wanted[key], array.shape)
        try:
            out = self._runner.infer(ready)
        except (RuntimeError, MemoryError) as error:
            shapes = {k: v.shape for k, v in ready.items()}
            raise BundleError(
                f"{self.engine} failed in graph {self.name!r} on input {shapes}: {_first(error)}"
            ) from error
        # On some processors OpenVINO answers sizes that do not fit each other with nothing instead of an error.
        empty = sorted(k for k, v in out.items() if np.asarray(v).size == 0)
        if empty:
            shapes = {k: v.shape for k, v in ready.items()}
            raise BundleError(
                f"{self.engine} failed in graph {self.name!r} on input {shapes}: output {empty[0]!r} is empty"
            )
        return {k: np.ascontiguousarray(v, dtype=np.float32) for k, v in out.items()}


def available_engines() -> dict[Engine, str | None]:
    """Return the installed version of each engine, ``None`` where it is not installed. Imports nothing heavy."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415  # slow, rarely needed

    found: dict[Engine, str | None] = {}
    for engine in Engine:
        try:
            found[engine] = version(engine.value)
        except PackageNotFoundError:
            found[engine] = None
    return found


def processor_has_bf16() -> bool:
    """Tell whether the default engine computes in bf16 on this processor."""
    return _ENGINES[Engine.OPENVINO]()[0]


def open_session(
    bundle: ModelBundle,
    graph: str,
    *,
    engine: str = Engine.OPENVINO,
    threads: int = 4,
    precision: str | None = None,
) -> Session:
    """Make one graph of a bundle ready to run.

    Parameters
    ----------
    engine
        ``"openvino"`` or ``"onnxruntime"``.
    threads
        Threads of one run.
    precision
        ``"f32"`` or ``"bf16"``. ``None`` takes the bundle's own, and f32 where engine or processor have no bf16.

    Raises
    ------
    ConfigError
        Unknown engine or precision, an engine that is not installed, no threads, or bf16 asked for where there is none.
    BundleMissing, BundleCorrupt
        The graph is not there, or was changed.
    BundleIncompatible
        The engine cannot load the graph, or finds other inputs and outputs than the manifest says.
    """
    if threads < 1:
        raise ConfigError(f"threads must be at least 1, got {threads}")
    chosen = _parse(Engine, engine, "engine")
    wanted = None if precision is None else _parse(Precision, precision, "precision")
    spec = bundle.graph(graph)
    data = bundle.graph_bytes(graph)
    has_bf16, make = _ENGINES[chosen]()
    if wanted is Precision.BF16 and not has_bf16:
        raise ConfigError(f"bf16 was asked for, but {chosen} on this processor computes in f32 only; use precision f32")
    used = wanted or bundle.manifest.precision
    used = used if has_bf16 else Precision.F32
    where = f"graph {graph!r} of bundle {bundle.manifest.name}"
    try:
        runner, inputs, outputs = make(data, threads, used)
    except (RuntimeError, ValueError) as error:
        raise BundleIncompatible(f"{where}: {chosen} cannot load it ({_first(error)})") from error
    _check_names(where, spec, inputs, outputs)
    return Session(graph, spec, chosen, used, runner)


MakeRunner = Callable[[bytes, int, Precision], tuple[Runner, list[str], list[str]]]


def _openvino() -> tuple[bool, MakeRunner]:
    from cspine.models import openvino_engine  # noqa: PLC0415  # imported when asked for

    return openvino_engine.has_bf16(), openvino_engine.make_runner


def _onnxruntime() -> tuple[bool, MakeRunner]:
    from cspine.models import onnxruntime_engine  # noqa: PLC0415  # imported when asked for

    return False, onnxruntime_engine.make_runner


_ENGINES: dict[Engine, Callable[[], tuple[bool, MakeRunner]]] = {
    Engine.OPENVINO: _openvino,
    Engine.ONNXRUNTIME: _onnxruntime,
}


Choice = TypeVar("Choice", bound=StrEnum)


def _parse(kind: type[Choice], value: str, what: str) -> Choice:
    try:
        return kind(value)
    except ValueError as error:
        known = ", ".join(k.value for k in kind)
        raise ConfigError(f"unknown {what} {value!r}; known are {known}") from error


def _check_shape(graph: str, spec: TensorSpec, shape: tuple[int, ...]) -> None:
    fits = len(shape) == len(spec.shape) and all(w in (None, n) for w, n in zip(spec.shape, shape, strict=True))
    if not fits:
        raise ValueError(f"graph {graph!r} takes {spec.name!r} of shape {spec.shape}, got {shape}")


def _check_names(where: str, spec: GraphSpec, inputs: list[str], outputs: list[str]) -> None:
    for what, said, found in (("inputs", spec.inputs, inputs), ("outputs", spec.outputs, outputs)):
        names = [t.name for t in said]
        if sorted(names) != sorted(found):
            raise BundleIncompatible(f"{where}: the manifest names the {what} {names}, the graph has {found}")


def _first(error: BaseException) -> str:
    """Return the last line of an engine's message, which holds the reason."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
