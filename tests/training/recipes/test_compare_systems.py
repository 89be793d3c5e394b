"""The tool that trains the published systems side by side asks the recipes for what they have."""

from itertools import pairwise
from pathlib import Path

import pytest

from cspine.training.recipes.settings import with_settings
from cspine.training.recipes.systems import SYSTEM_NAMES, system_named
from tools.compare_systems import Scale, steps

ASKED = list(steps(Path("set"), Path("out"), "start.npz", Scale()))


def settings_of(words: tuple[str, ...]) -> list[str]:
    return [value for word, value in pairwise(words) if word == "--set"]


@pytest.mark.parametrize("step", [s for s in ASKED if s.words[0] in ("train", "experiment")], ids=lambda s: s.name)
def test_every_setting_is_one_of_the_recipe_and_stands_once(step):
    verb, recipe, *_ = step.words
    if recipe == "compare":
        assert {Path(word).name for word in step.words[2:-2]} <= {s.name for s in ASKED}
        return
    system, settings = system_named(recipe), settings_of(step.words)
    keys = [setting.split("=")[0] for setting in settings]
    assert len(keys) == len(set(keys))
    made = with_settings(system.recipe() if verb == "train" else system.table(), settings)
    assert made != (system.recipe() if verb == "train" else system.table())


def test_every_system_is_asked_and_all_have_the_same_network_and_folds():
    folded = [s for s in ASKED if "--folds" in s.words]
    assert {s.words[1] for s in folded} == set(SYSTEM_NAMES)
    assert {s.words[s.words.index("--folds") + 1] for s in folded} == {"4"}
    networks = {
        v
        for s in folded
        if s.words[1] != "slice-transfer"
        for k, v in (x.split("=") for x in settings_of(s.words))
        if k in NETWORK_FIELDS
    }
    assert networks == {"tiny"}


NETWORK_FIELDS = ("backbone", "network", "variant")
