"""The comparisons of `semi-supervised`: every method, share of labels, share of wrong labels and plane on one division.

A case is one row of a comparison; its answers are those of all folds together, so that every study is tested once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path

from cspine.training.learning import Hardware
from cspine.training.recipes.answers import StudyAnswers
from cspine.training.recipes.run_folder import Say
from cspine.training.recipes.semi_supervised.config import SemiSupervised, SemiSupervisedTable
from cspine.training.recipes.semi_supervised.run import SemiRun, Setting, division_of, run_semi_supervised
from cspine.training.recipes.study_scores import fused
from cspine.training.stacks import Parts, StackSet, fold_parts


@dataclass(frozen=True)
class SemiCase:
    """What one row of a comparison varies."""

    method: str
    share: float
    flipped: float
    plane: str

    @property
    def folder(self) -> str:
        """Return the name of its run folder within a fold."""
        return f"{self.method}-{self.share:g}-{self.flipped:g}-{self.plane}"


@dataclass(frozen=True, eq=False)
class SemiExperiment:
    """The finished runs: case → one run per fold."""

    recipe: SemiSupervisedTable
    stacks: StackSet
    runs: Mapping[SemiCase, Sequence[SemiRun]]

    def answers(self, case: SemiCase) -> StudyAnswers:
        """Return the answers to every tested study."""
        return reduce(StudyAnswers.joined, (run.test for run in self.runs[case]))

    def fused_planes(self) -> StudyAnswers:
        """Return the mean answers over the planes."""
        return fused([self.answers(case) for case in plane_cases(self.recipe)])

    @property
    def shown(self) -> SemiCase:
        """Return the case whose slices are drawn: the base's method, all its labels, axial where that was run."""
        return plane_cases(self.recipe)[0]


def experiment_on(
    recipe: SemiSupervisedTable, stacks: StackSet, out: Path, hardware: Hardware, say: Say
) -> SemiExperiment:
    """Train every case in every fold below ``out/runs``; what was finished before is read.

    Raises as `run_semi_supervised`; folds that are impossible are refused.
    """
    runs: dict[SemiCase, list[SemiRun]] = {}
    for number, parts in enumerate(_divisions(recipe, stacks), start=1):
        folder = out / "runs" / f"fold-{number}"
        setting = Setting(stacks, parts, folder, hardware, say)
        for case in all_cases(recipe):
            say(f"== {parts.kind}: {case.method}, {case.share:.0%} labeled, {case.flipped:.0%} wrong, {case.plane}")
            one = recipe_of(recipe.base, case)
            runs.setdefault(case, []).append(run_semi_supervised(one, setting, folder / case.folder))
    return SemiExperiment(recipe, stacks, runs)


def share_cases(recipe: SemiSupervisedTable, method: str) -> list[SemiCase]:
    """Return the rows of a method in the comparison of shares of labels."""
    base = recipe.base
    return [SemiCase(method, share, base.flipped_share, base.plane) for share in recipe.shares]


def flip_cases(recipe: SemiSupervisedTable, method: str) -> list[SemiCase]:
    """Return the rows of a method in the comparison of shares of wrong labels."""
    base = recipe.base
    return [SemiCase(method, base.labeled_share, flipped, base.plane) for flipped in recipe.flips]


def plane_cases(recipe: SemiSupervisedTable) -> list[SemiCase]:
    """Return the rows of the comparison of planes."""
    base = recipe.base
    return [SemiCase(base.method, base.labeled_share, base.flipped_share, plane) for plane in recipe.planes]


def all_cases(recipe: SemiSupervisedTable) -> Iterator[SemiCase]:
    """Yield every case once."""
    rows = [c for method in recipe.methods for c in (*share_cases(recipe, method), *flip_cases(recipe, method))]
    yield from dict.fromkeys((*rows, *plane_cases(recipe)))


def recipe_of(base: SemiSupervised, case: SemiCase) -> SemiSupervised:
    """Return the recipe of a case."""
    return replace(base, method=case.method, labeled_share=case.share, flipped_share=case.flipped, plane=case.plane)


def _divisions(recipe: SemiSupervisedTable, stacks: StackSet) -> list[Parts]:
    if not recipe.folds:
        return [division_of(recipe.base)(stacks)]
    return fold_parts(stacks, recipe.folds, recipe.base.seed)
