"""Phantoms that several tests look at; growing one takes seconds."""

from dataclasses import replace

import numpy as np
import pytest

from cspine.domain import Vertebra
from cspine.phantom import Coverage, Field, PhantomSpec, Scanner, Subject, make_subject, sample_spec


@pytest.fixture(scope="session")
def procedural_spec() -> PhantomSpec:
    spec = sample_spec(np.random.default_rng(20), field=Field.WHOLE)
    scanner = Scanner(matrix=(96, 96), field_of_view_mm=150.0, spacing_mm=2.0, thickness_mm=2.0)
    coverage = Coverage(top=Vertebra.C2, top_mm=0.0, bottom=Vertebra.C5, bottom_mm=0.0)
    return replace(spec, scanner=scanner, coverage=coverage)


@pytest.fixture(scope="session")
def procedural_subject(procedural_spec: PhantomSpec) -> Subject:
    return make_subject(procedural_spec)
