"""From a folder of studies to a finished run: read, divide, train; one run, or one for each fold."""

from pathlib import Path

from cspine.domain import ConfigError
from cspine.training.learning import Hardware
from cspine.training.recipes.semi_supervised.config import SemiSupervised
from cspine.training.recipes.semi_supervised.run import Say, SemiRun, Setting, run_semi_supervised
from cspine.training.recipes.semi_supervised.score import level_auc, log_loss
from cspine.training.stacks import Parts, StackSet, fold_parts, held_out, label_set_named, read_stacks

HELD_OUT = (0.15, 0.2)


def train_semi_supervised(
    recipe: SemiSupervised, data: Path, out: Path, hardware: Hardware, say: Say, *, folds: int = 0
) -> list[SemiRun]:
    """Train on a set in the layout of RSNA 2022, from where an earlier run in `out` stopped.

    Parameters
    ----------
    folds
        Networks are trained on that many folds, grouped by patient; 0 holds out a test part once.

    Raises
    ------
    ConfigError
        The division is impossible, the folder holds another run, or too few studies are segmented.
    NoImages
        There is no usable study.
    TrainingStopped
        The loss is not a number, or the memory does not suffice.
    StoreError
        A folder cannot be written, or the disk is full.
    """
    stacks = read_stacks(data, recipe.stacks, label_set_named(recipe.labels), cache=out / "stacks", say=say)
    runs = []
    for name, parts in _divisions(recipe, stacks, folds):
        folder = out / name
        run = run_semi_supervised(recipe, Setting(stacks, parts, folder, hardware, say), folder / recipe.method)
        say(f"{parts.kind}: {_words(run)}")
        runs.append(run)
    return runs


def _divisions(recipe: SemiSupervised, stacks: StackSet, folds: int) -> list[tuple[str, Parts]]:
    if folds < 0:
        raise ConfigError(f"folds is {folds}, must be 0 or from 3 on")
    if not folds:
        return [("", held_out(stacks, HELD_OUT, recipe.seed))]
    return [(f"fold-{k}", parts) for k, parts in enumerate(fold_parts(stacks, folds, recipe.seed), start=1)]


def _words(run: SemiRun) -> str:
    told = f"test: AUC over all levels {level_auc(run.test)} studies"
    if not run.about["losses"]:
        return told
    three = ", ".join(f"{name} {value:.3f}" for name, value in run.about["losses"].items())
    return f"{told}, weighted log loss {log_loss(run.test)} ({three})"
