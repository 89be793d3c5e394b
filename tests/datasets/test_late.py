"""Names that need an extra: found when they are asked for, and an absent package is named with the remedy."""

import sys

import pytest

import cspine.datasets
from cspine.datasets.late import late_names
from cspine.domain import ConfigError


def test_a_late_name_is_the_one_of_its_package():
    from cspine.datasets.index import index_rsna  # noqa: PLC0415  # compared with the late one

    assert cspine.datasets.index_rsna is index_rsna


def test_an_absent_package_is_named_with_the_extra_that_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    for name in [m for m in sys.modules if m.startswith("cspine.datasets.index")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ConfigError, match=r"index_rsna needs pandas.*pip install 'cspine\[data\]'"):
        _ = cspine.datasets.index_rsna


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        late_names("cspine.datasets", {}, "data")("nothing")
