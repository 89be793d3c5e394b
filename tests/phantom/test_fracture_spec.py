"""Fracture specifications: what exists where, what is refused, what is drawn."""

from collections import Counter

import numpy as np
import pytest

from cspine.domain import CERVICAL, ConfigError, FractureTruth, GroundTruth, MimicTruth, Vertebra, WorldBox
from cspine.phantom import (
    Coverage,
    Fracture,
    FractureAge,
    FractureMix,
    FractureType,
    PhantomSpec,
    Side,
    check_training_allowed,
    parse_fracture,
    sample_fractures,
)
from cspine.phantom.fractures import RULES, types_at
from cspine.phantom.fractures.sampling import (
    RSNA_COUNTS,
    RSNA_NEIGHBOR_CORRELATION,
    RSNA_PREVALENCE,
    level_odds,
)

BOX = WorldBox((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def test_every_type_exists_somewhere_and_every_level_has_types():
    assert set(RULES) == set(FractureType)
    assert all(rule.levels and rule.source for rule in RULES.values())
    assert all(len(types_at(level)) >= 5 for level in CERVICAL)


@pytest.mark.parametrize(
    ("kind", "level", "allowed"),
    [
        (FractureType.WEDGE, Vertebra.C1, "C3, C4, C5, C6, C7, T1"),
        (FractureType.DENS_II, Vertebra.C5, "exists at C2"),
        (FractureType.JEFFERSON, Vertebra.C2, "exists at C1"),
        (FractureType.SPINOUS_PROCESS, Vertebra.C1, "C2, C3"),
    ],
)
def test_a_type_at_a_level_without_it_is_refused_by_name(kind: FractureType, level: Vertebra, allowed: str):
    with pytest.raises(ConfigError, match=f"no {kind.value} fracture at {level.name}.*{allowed}"):
        Fracture(kind, level)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"gap_mm": -0.1}, r"burst@C5: gap_mm is -0\.1, must be 0 … 2\.5"),
        ({"shift_mm": 7.0}, r"shift_mm is 7\.0, must be 0 … 6"),
        ({"turn_deg": 21.0}, r"turn_deg is 21\.0, must be 0 … 20"),
        ({"severity": 6}, "severity is 6, must be 1 … 5"),
        ({"impaction": 2.0}, "impaction is 2"),
        ({"swelling_mm": 40.0}, "swelling_mm is 40"),
        ({"family": "C"}, "family is 'C', must be A or B"),
        ({"seed": -1}, "seed is -1"),
        ({"side": Side.LEFT}, "side is left, but this type has none"),
    ],
)
def test_impossible_amounts_are_refused_with_their_limits(change: dict[str, object], said: str):
    with pytest.raises(ConfigError, match=said):
        Fracture(FractureType.BURST, Vertebra.C5, **change)  # type: ignore[arg-type]  # that is the point


def test_a_coverage_without_the_fractured_level_is_refused():
    field = Coverage(top=Vertebra.C1, bottom=Vertebra.C4)
    with pytest.raises(ConfigError, match=r"phantom 3: burst@C6 lies outside the coverage.* C1 to C4"):
        PhantomSpec(3, coverage=field, fractures=(Fracture(FractureType.BURST, Vertebra.C6),))


def test_a_fracture_of_family_b_must_not_train():
    spec = PhantomSpec(4, fractures=(Fracture(FractureType.DENS_II, Vertebra.C2, family="B"),))
    assert spec.family == "B"
    with pytest.raises(ConfigError, match="family B is for evaluation only"):
        check_training_allowed(spec)
    check_training_allowed(PhantomSpec(4, fractures=(Fracture(FractureType.DENS_II, Vertebra.C2),)))


def test_a_fracture_is_read_from_its_name():
    for kind, rule in RULES.items():
        for level in rule.levels:
            assert parse_fracture(Fracture(kind, level).name) == (kind, level)
    with pytest.raises(ConfigError, match="unknown fracture type 'crack'"):
        parse_fracture("crack@C2")
    with pytest.raises(ConfigError, match=r"unknown level 'X9'.*dens-ii exists at C2"):
        parse_fracture("dens-ii@X9")
    with pytest.raises(ConfigError, match="no dens-ii fracture at C4"):
        parse_fracture("dens-ii@C4")


def test_levels_their_number_and_their_neighbors_are_those_of_the_rsna_set():
    states, odds = level_odds()
    prevalence = odds @ states
    assert prevalence == pytest.approx(RSNA_PREVALENCE, abs=0.002)
    counts = np.bincount(states.sum(axis=1), odds, 8)
    assert counts == pytest.approx(np.array(RSNA_COUNTS) / sum(RSNA_COUNTS), abs=0.002)
    spread = np.sqrt(prevalence * (1 - prevalence))
    both = np.array([(odds * states[:, i] * states[:, i + 1]).sum() for i in range(6)])
    correlation = (both - prevalence[:-1] * prevalence[1:]) / (spread[:-1] * spread[1:])
    assert correlation == pytest.approx(RSNA_NEIGHBOR_CORRELATION, abs=0.01)


def test_drawn_patients_follow_the_odds():
    rng = np.random.default_rng(0)
    drawn = [sample_fractures(rng) for _ in range(4000)]
    counted = [{f.vertebra for f in d if not f.is_distractor and f.age is not FractureAge.HEALED} for d in drawn]
    share = np.mean([bool(levels) for levels in counted])
    assert share == pytest.approx(961 / 2019, abs=0.025)
    by_level = Counter(level for levels in counted for level in levels)
    assert [by_level[v] / 4000 for v in CERVICAL] == pytest.approx(RSNA_PREVALENCE, abs=0.02)
    severity = Counter(f.severity for d in drawn for f in d)
    assert set(severity) == {1, 2, 3, 4, 5}
    assert any(f.is_distractor for d in drawn for f in d)
    assert any(f.age is FractureAge.HEALED for d in drawn for f in d)
    assert len({f.type for d in drawn for f in d}) == len(FractureType)


def test_the_mix_can_be_set():
    rng = np.random.default_rng(1)
    only_c2 = FractureMix(study=1.0, levels=(0, 1, 0, 0, 0, 0, 0), second=0.0, healed=0.0, distractor=0.0)
    drawn = [sample_fractures(rng, mix=only_c2) for _ in range(50)]
    assert all([f.vertebra for f in d] == [Vertebra.C2] for d in drawn)
    assert sample_fractures(rng, mix=FractureMix(study=0.0, healed=0.0, distractor=0.0)) == ()
    with pytest.raises(ConfigError, match=r"study is 1\.4"):
        FractureMix(study=1.4)
    with pytest.raises(ConfigError, match="levels is"):
        FractureMix(levels=(1.0, 1.0))


def test_only_levels_in_view_are_drawn_and_equal_seeds_draw_equal_fractures():
    drawn = [sample_fractures(np.random.default_rng(k), top=Vertebra.C4, bottom=Vertebra.C6) for k in range(60)]
    assert drawn == [sample_fractures(np.random.default_rng(k), top=Vertebra.C4, bottom=Vertebra.C6) for k in range(60)]
    assert {f.vertebra for d in drawn for f in d} == {Vertebra.C4, Vertebra.C5, Vertebra.C6}


def test_labels_count_cervical_fractures_in_view_and_no_mimics():
    def broken(kind: str, vertebra: Vertebra | None, box: WorldBox | None) -> FractureTruth:
        return FractureTruth(kind, vertebra, 3, "acute", "A", box)

    fractures = (
        broken("burst", Vertebra.C5, BOX),
        broken("spinous-process", Vertebra.C7, None),
        broken("wedge-compression", Vertebra.T1, BOX),
        broken("first-rib", None, BOX),
    )
    truth = GroundTruth((), fractures, (MimicTruth("healed-fracture", Vertebra.C3, BOX),))
    assert truth.fractured == (Vertebra.C5,)
    assert truth.has_fracture
    assert not GroundTruth((), fractures[1:], truth.mimics).has_fracture
