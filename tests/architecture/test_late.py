"""Names that need an extra: found when they are asked for, and an absent package is named with the remedy."""

import subprocess
import sys

import pytest

import cspine.datasets
from cspine.late import late_names


def test_a_late_name_is_the_one_of_its_package():
    from cspine.datasets.index import index_rsna  # noqa: PLC0415  # compared with the late one

    assert cspine.datasets.index_rsna is index_rsna


@pytest.mark.parametrize(
    ("words", "spared"),
    [
        ("import cspine.datasets", {"pandas", "pyarrow", "nibabel", "pydicom", "sklearn", "cspine.phantom"}),
        ("from cspine.datasets import read_study", {"pandas", "pyarrow", "sklearn", "matplotlib", "cspine.phantom"}),
        ("from cspine.datasets import select, read_split, check_leaks", {"sklearn", "matplotlib", "cspine.phantom"}),
        ("from cspine.datasets import make_submission", {"pandas", "nibabel", "sklearn", "cspine.phantom"}),
        ("from cspine.datasets import read_index", {"nibabel", "sklearn", "matplotlib", "cspine.phantom"}),
        ("from cspine.workflow import attempt", {"pydicom", "openvino", "cspine.phantom", "cspine.stores"}),
        ("from cspine.datasets import audit_set, prepare_set", {"pandas", "sklearn", "matplotlib", "cspine.phantom"}),
    ],
)
def test_nobody_pays_for_the_import_of_what_another_command_needs(words: str, spared: set[str]):
    shown = [sys.executable, "-c", f"{words}; import sys; print(*sys.modules)"]
    loaded = subprocess.run(shown, capture_output=True, text=True, check=True).stdout.split()
    assert spared & set(loaded) == set()


def test_an_absent_package_is_named_with_the_extra_that_brings_it():
    words = "import sys; sys.modules['pandas'] = None; import cspine.datasets; cspine.datasets.index_rsna"
    ended = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=False)
    last = ended.stderr.strip().splitlines()[-1]
    assert last.startswith("cspine.domain.errors.ConfigError: index_rsna needs pandas, which is not installed")
    assert last.endswith("pip install 'cspine[data]'")


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        late_names("cspine.datasets", {}, "data")("nothing")
