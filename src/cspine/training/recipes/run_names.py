"""What runs are called beside one another: no longer than it takes to tell them apart."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from cspine.training.recipes.compared import ComparedRun

Settings = Mapping[str, str]


def short_names(runs: Sequence[ComparedRun]) -> tuple[str, ...]:
    """Return a name for each run: its recipe; where that is not enough, settings that differ; then the folder's end."""
    names = [run.recipe for run in runs]
    for recipe in dict.fromkeys(names):
        group = [k for k, run in enumerate(runs) if run.recipe == recipe]
        if len(group) == 1:
            continue
        keys = _telling([runs[k].settings for k in group])
        for k in group:
            names[k] = ", ".join([recipe, *(f"{key}={_value(runs[k], key)}" for key in keys)])
    for name in {name for name in names if names.count(name) > 1}:
        group = [k for k, other in enumerate(names) if other == name]
        for k, end in zip(group, _ends([Path(runs[k].name) for k in group]), strict=True):
            names[k] = f"{name}, {end}"
    return tuple(names)


def _value(run: ComparedRun, key: str) -> str:
    """Return the value of a setting; of a file its name alone, and of what an older run did not know, default."""
    return run.settings.get(key, "default").rpartition("/")[2] or "none"


def _telling(settings: Sequence[Settings]) -> list[str]:
    """Return few keys whose values tell the runs apart as far as any do: each adds as much as one can."""
    keys = list(dict.fromkeys(key for values in settings for key in values))
    chosen: list[str] = []
    while True:
        kinds = {key: len(_kinds(settings, [*chosen, key])) for key in keys}
        best = max(kinds, key=kinds.__getitem__, default="")
        if not best or kinds[best] <= len(_kinds(settings, chosen)):
            return chosen
        chosen.append(best)


def _kinds(settings: Sequence[Settings], keys: Sequence[str]) -> set[tuple[str, ...]]:
    return {tuple(values.get(key, "") for key in keys) for values in settings}


def _ends(folders: Sequence[Path]) -> list[str]:
    """Return the ends of paths, as many parts of each as make all of them different."""
    whole = [folder.absolute().parts for folder in folders]
    count = next(n for n in range(1, max(map(len, whole)) + 1) if len({parts[-n:] for parts in whole}) == len(whole))
    return ["/".join(parts[-count:]) for parts in whole]
