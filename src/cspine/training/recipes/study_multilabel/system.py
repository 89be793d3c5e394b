"""`study-multilabel` as the command line asks for it."""

from pathlib import Path
from typing import Any

from cspine.training.recipes.classifier_run import exported_classifier
from cspine.training.recipes.exported import Exported
from cspine.training.recipes.settings import config_from
from cspine.training.recipes.study_multilabel.config import (
    StudyMultilabel,
    StudyMultilabelTable,
    study_multilabel,
    study_multilabel_table,
)
from cspine.training.recipes.study_multilabel.run import (
    NAME,
    by_study,
    division_of,
    dry_run_study_multilabel,
    network_of,
    read_studies,
    run_on_parts,
)
from cspine.training.recipes.study_multilabel.segmentation import segmented_studies
from cspine.training.recipes.study_multilabel.table import (
    MultilabelExperiment,
    experiment_on,
    study_figures,
    write_study_multilabel,
)
from cspine.training.recipes.system import Order, System
from cspine.training.stacks import StackSet


def _train(recipe: StudyMultilabel, stacks: StackSet, order: Order) -> list[str]:
    lines = []
    for folder, divide in order.divisions(division_of(recipe), recipe.seed):
        run = run_on_parts(recipe, stacks, divide(stacks), folder, hardware=order.hardware, say=order.say)
        found = study_figures(by_study(run.test, recipe.pool))
        words = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in found.items())
        lines.append(f"{run.about['split']}, test: {words}")
    return lines


def _experiment(table: StudyMultilabelTable, stacks: StackSet, order: Order) -> MultilabelExperiment:
    segmented = segmented_studies(stacks, order.data) if table.segment else None
    return experiment_on(table, stacks, segmented, order.out, hardware=order.hardware, say=order.say)


def _export(run: Path, document: dict[str, Any], result: dict[str, Any]) -> Exported:
    recipe = config_from(StudyMultilabel, document["config"])
    answers = (
        f"Answers for one axial slice: logits of the study's {len(result['labels'])} labels. A study is answered from "
        f"{recipe.slices} slices, evenly spread, pooled ({recipe.pool})."
    )
    preprocess = {"window": recipe.window, "slices": recipe.slices, "pool": recipe.pool}
    return exported_classifier(network_of(recipe), run, result, answers, preprocess)


SYSTEM = System(
    NAME,
    study_multilabel,
    study_multilabel_table,
    read_studies,
    _train,
    dry_run_study_multilabel,
    _experiment,
    write_study_multilabel,
    _export,
)
