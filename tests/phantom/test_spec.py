"""Specifications: what is drawn, what is refused, what may train."""

from pathlib import Path

import numpy as np
import pytest

from cspine.domain import ConfigError, Vertebra
from cspine.phantom import (
    Coverage,
    Field,
    PhantomSpec,
    check_training_allowed,
    sample_coverage,
    sample_scanner,
    sample_spec,
    training_allowed,
)


def test_equal_seeds_draw_equal_specifications():
    assert sample_spec(np.random.default_rng(5)) == sample_spec(np.random.default_rng(5))
    assert sample_spec(np.random.default_rng(5)) != sample_spec(np.random.default_rng(6))


def test_all_kinds_of_fields_are_drawn():
    rng = np.random.default_rng(0)
    kinds = [sample_coverage(rng).kind for _ in range(400)]
    assert set(kinds) == set(Field)
    assert 0.45 < np.mean([k is Field.WHOLE for k in kinds]) < 0.65


@pytest.mark.parametrize("kind", list(Field))
def test_a_field_shows_what_its_name_says(kind: Field):
    rng = np.random.default_rng(1)
    for _ in range(100):
        coverage = sample_coverage(rng, kind)
        assert coverage.kind is kind
        assert coverage.top <= coverage.bottom
        if kind in (Field.WHOLE, Field.NO_T1):
            assert coverage.top is Vertebra.C1
            assert coverage.top_mm > 20
        if kind is Field.NO_T1:
            assert coverage.bottom <= Vertebra.C7
        if kind is Field.LOWER_NECK:
            assert coverage.top >= Vertebra.C3


def test_a_scale_that_no_adult_has_is_refused_with_the_limits():
    with pytest.raises(ConfigError, match=r"phantom 3: scale is 2\.0, must be 0\.75 … 1\.3"):
        PhantomSpec(3, scale=2.0)


def test_an_unknown_anatomy_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="neither 'procedural' nor a folder"):
        PhantomSpec(1, anatomy=str(tmp_path / "nowhere"))


def test_a_field_upside_down_or_below_the_bones_is_refused():
    with pytest.raises(ConfigError, match="upside down"):
        Coverage(top=Vertebra.C5, bottom=Vertebra.C2)
    with pytest.raises(ConfigError, match="T8"):
        Coverage(bottom=Vertebra.T11)


def test_family_b_must_not_train():
    rng = np.random.default_rng(2)
    spec = PhantomSpec(4, scanner=sample_scanner(rng, "B"))
    assert not training_allowed(spec)
    with pytest.raises(ConfigError, match=r"phantom 4: family B is for evaluation only"):
        check_training_allowed(spec)


@pytest.mark.parametrize("mark", ["the folder's name", "a file in the folder"])
def test_the_umtri_anatomy_must_not_train_even_when_renamed(tmp_path: Path, mark: str):
    folder = tmp_path / ("umtri-cspine" if mark == "the folder's name" else "other")
    folder.mkdir()
    if mark == "a file in the folder":
        (folder / "C1_mean.obj").write_text("")
    spec = PhantomSpec(5, anatomy=str(folder))
    assert not training_allowed(spec)
    with pytest.raises(ConfigError, match="evaluation only"):
        check_training_allowed(spec)


def test_a_procedural_phantom_of_family_a_may_train():
    spec = PhantomSpec(6)
    check_training_allowed(spec)
    assert training_allowed(spec)


def test_whole_necks_have_about_as_many_slices_as_the_rsna_studies_have():
    # Heights of the centers of C1 … T8 of an average adult; RSNA 2022: median 314, mean 352, 69 … 1,082 slices.
    height = (48, 30, 13, -3, -19, -35, -53, -71, -90, -109, -129, -149, -170, -190, -211)
    rng = np.random.default_rng(0)
    slices, spacing, view = [], [], []
    for _ in range(400):
        spec = sample_spec(rng, field=Field.WHOLE)
        ends = spec.coverage
        length = (height[ends.top - 1] - height[ends.bottom - 1]) * spec.scale + ends.top_mm + ends.bottom_mm
        slices.append(length / spec.scanner.spacing_mm + 1)
        spacing.append(spec.scanner.spacing_mm)
        view.append(spec.scanner.field_of_view_mm)
    assert 270 < np.median(slices) < 350
    assert 300 < np.mean(slices) < 390
    assert min(slices) < 110
    assert max(slices) > 650
    assert np.isin(spacing, (0.4, 0.625, 0.8, 1.0)).mean() > 0.7
    assert 120 <= min(view) < 140
    assert 400 < max(view) <= 500
