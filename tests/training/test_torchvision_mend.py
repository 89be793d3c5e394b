"""The mend: torchvision imports beside any torch, and where it would have by itself, nothing is touched."""

import importlib

import pytest
import torch

from cspine.training import torchvision_mend


def test_after_importing_training_timm_imports_and_the_operators_are_known() -> None:
    timm = importlib.import_module("timm")
    assert timm.is_model("resnet50")
    assert torch.ops.torchvision.nms is not None


def test_where_torchvision_imports_nothing_is_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision_mend, "_declared", lambda: pytest.fail("declared"))
    monkeypatch.setattr(importlib, "import_module", lambda name: None)
    assert torchvision_mend.mend_torchvision.__wrapped__() is False


def test_another_trouble_of_torchvision_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise RuntimeError("something else")

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(RuntimeError, match="something else"):
        torchvision_mend.mend_torchvision.__wrapped__()


def test_the_known_trouble_is_mended_by_declaring_both_operators_and_importing_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []

    def broken_once(name: str) -> None:
        seen.append(name)
        if len(seen) == 1:
            raise RuntimeError(torchvision_mend.SYMPTOM)

    monkeypatch.setattr(importlib, "import_module", broken_once)
    monkeypatch.setattr(torchvision_mend, "_declared", lambda: seen.append("declared"))
    monkeypatch.setattr(torchvision_mend, "_forget_half_imported", lambda: seen.append("forgotten"))
    assert torchvision_mend.mend_torchvision.__wrapped__() is True
    assert seen == ["torchvision", "forgotten", "declared", "torchvision"]


def test_the_declared_schemas_are_those_that_torchvision_asks_for() -> None:
    for schema in torchvision_mend.SCHEMAS:
        assert torch._C.parse_schema(f"torchvision::{schema}").name.startswith("torchvision::")
