"""Who may import what. The layers are import-linter's contracts in `pyproject.toml`; this adds the world outside."""

import subprocess
import sys

import pytest

from tests.architecture.sources import FILES, LAYERS, ROOT, imported_modules, layer_of, name_of

EVERYWHERE = frozenset({"", *LAYERS})
# Every package that cspine imports from outside, and the layers that may. A new one needs a decision page.
OUTSIDE: dict[str, frozenset[str]] = {
    "numpy": EVERYWHERE,
    "scipy": EVERYWHERE,
    "pydicom": frozenset({"dicom", "report"}),
    "highdicom": frozenset({"dicom", "report"}),
    "imagecodecs": frozenset({"dicom"}),
    "nibabel": frozenset({"stores", "datasets"}),
    "pynetdicom": frozenset({"stores"}),
    "httpx2": frozenset({"stores"}),
    "openvino": frozenset({"models"}),
    "onnxruntime": frozenset({"models", "training"}),
    "jinja2": frozenset({"report", "datasets", "training"}),
    "PIL": frozenset({"report", "datasets", "training", "cli", "service"}),
    "fastapi": frozenset({"service"}),
    "starlette": frozenset({"service"}),
    "pydantic": frozenset({"service"}),
    "uvicorn": frozenset({"service"}),
    "sqlalchemy": frozenset({"service"}),
    "prometheus_client": frozenset({"service"}),
    "typst": frozenset({"report"}),
    "typer": frozenset({"cli"}),
    "click": frozenset({"cli"}),
    "rich": frozenset({"cli"}),
    "pandas": frozenset({"datasets"}),
    "pyarrow": frozenset({"datasets"}),
    "matplotlib": frozenset({"datasets", "training"}),
    "imageio": frozenset({"datasets"}),
    "imageio_ffmpeg": frozenset({"datasets"}),
    "skimage": frozenset({"datasets"}),
    "sklearn": frozenset({"datasets", "training"}),
    "torch": frozenset({"training"}),
    "timm": frozenset({"training"}),
    "huggingface_hub": frozenset({"training"}),
    "torchmetrics": frozenset({"training"}),
    "safetensors": frozenset({"training"}),
    "tensorboardX": frozenset({"training"}),
    "monai": frozenset({"training"}),
    "lightning": frozenset({"training"}),
    "onnx": frozenset({"training"}),
    "onnxscript": frozenset({"training"}),
}
HEAVY = ("torch", "openvino", "onnxruntime", "pydicom", "highdicom", "scipy", "nibabel", "imagecodecs", "matplotlib")
STARTS_LIGHT = ("cspine", "cspine.cli", "cspine.cli.main")


def _top(module: str) -> str:
    return module.split(".", 1)[0]


def test_every_outside_package_is_imported_only_where_it_belongs():
    wrong = [
        f"{name_of(path)} imports {module}"
        for path in FILES
        for module in imported_modules(path)
        if _top(module) not in sys.stdlib_module_names and _top(module) != "cspine"
        if layer_of(path) not in OUTSIDE.get(_top(module), frozenset())
    ]
    assert wrong == []


def test_no_layer_is_unknown_to_the_contracts():
    contracts = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    layers = contracts.split('id = "layers"', 1)[1].split("[[", 1)[0]
    assert [layer for layer in LAYERS if layer not in layers] == []


def test_the_import_contracts_hold():
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("module", STARTS_LIGHT)
def test_importing_the_front_door_leaves_the_heavy_packages_out(module: str):
    code = f"import sys, {module}; print(' '.join(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_layer_is_used_through_its_public_names():
    """Another layer's module is imported only where the layer's ``__init__`` would pull in too much."""
    allowed = {"cspine.dicom.header"}
    around = [
        f"{name_of(path)} imports {module}"
        for path in FILES
        for module in imported_modules(path)
        if _top(module) == "cspine" and module.count(".") > 1
        if module.split(".")[1] != layer_of(path) and module not in allowed
    ]
    assert around == []
