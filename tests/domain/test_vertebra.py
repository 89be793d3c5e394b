"""Names of vertebrae in words."""

from cspine.domain import CERVICAL, Vertebra, level_runs


def test_runs_of_levels_are_joined():
    assert level_runs(CERVICAL) == "C1–C7"
    assert level_runs([Vertebra.C5, Vertebra.C1, Vertebra.C2, Vertebra.C7]) == "C1–C2, C5, C7"
    assert level_runs([]) == ""
