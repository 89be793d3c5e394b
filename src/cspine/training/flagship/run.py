"""From a data set in the layout of RSNA 2022 to a calibrated bundle, each study answered by a network without it.

::

    run/recipe.json
    run/phantoms/      persons; phases of a fracture network that begins from noise, before it sees a study
    run/vertebrae/     the vertebra stage, adapted
    run/studies/<uid>, run/generated/<uid>      crops; ``left-out.json`` says what could not be used, and why
    run/fold-<k>/      network, bundle, and scores of the studies that were held out
    run/evaluation/    findings of every study by the bundle of its fold, page and tables
    run/all/, run/bundle

Every step leaves its result and is skipped when it is there.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
from torch import nn

from cspine import __version__
from cspine.datasets import (
    KnownStudy,
    StudyFiles,
    StudyLabels,
    index_rsna,
    labeled_studies,
    read_known,
    read_study,
    split_studies,
    studies_of,
    study_labels_of,
)
from cspine.domain import ConfigError, InputError, NoImages, Vertebra
from cspine.evaluation import TRAUMA_PREVALENCE, EvaluationSettings, priors_of
from cspine.models import ModelBundle, load_bundle
from cspine.phantom import sample_fractures
from cspine.pipeline import Analyzer
from cspine.report import EvaluationTitle
from cspine.training.devices import ANYWHERE, Place
from cspine.training.flagship.adapt import adapted_vertebrae
from cspine.training.flagship.card import flagship_card
from cspine.training.flagship.recipe import FlagshipRecipe
from cspine.training.flagship.scores import load_scores, save_scores
from cspine.training.flagship.study_crops import outlined_study, store_generated, store_study
from cspine.training.fracture_bundle import FractureAbout, write_fracture_bundle
from cspine.training.fracture_cases import make_fracture_cases
from cspine.training.fracture_net import FractureNet
from cspine.training.fracture_recipe import FRACTURE_GRAPH
from cspine.training.fracture_task import FractureTask
from cspine.training.fractures import (
    PhaseTasks,
    Say,
    begun_fractures,
    goes_on,
    train_phase,
    train_phases,
)
from cspine.training.recipe_file import keep_recipe
from cspine.training.stacks import phantom_family
from cspine.workflow import (
    AnsweredSet,
    Tuned,
    TunedStudy,
    answered_by_bundle,
    run_evaluation,
    score_site,
    tune,
    write_evaluation,
)

FEWEST = 2
LEARNED_FROM_STUDIES = "folds"
"""What of a flagship's recipe stands in the manifest of its bundle, and of those that are made from it."""


@dataclass(frozen=True)
class _Set:
    """The studies that can be used."""

    known: Mapping[str, KnownStudy]
    files: tuple[StudyFiles, ...]
    labels: Mapping[str, StudyLabels]
    folds: tuple[tuple[str, ...], ...]
    phantom: bool


@dataclass(frozen=True)
class _Crops:
    """Folders of crops by study."""

    studies: Mapping[str, Path]
    generated: Mapping[str, Path]
    persons: tuple[Path, ...]

    def without(self, held: Sequence[str]) -> tuple[Path, ...]:
        """Return everything that does not come from a study of `held`."""
        kept = [folder for of in (self.studies, self.generated) for uid, folder in of.items() if uid not in held]
        return (*kept, *self.persons)


def train_flagship(
    recipe: FlagshipRecipe, root: Path, run: Path, start: ModelBundle, say: Say, *, place: Place = ANYWHERE
) -> ModelBundle:
    """Run the recipe in `run`, from where an earlier run stopped, and return the bundle ``run/bundle``.

    Parameters
    ----------
    root
        Folder with ``train.csv``, ``train_images/<uid>``, and boxes and masks where there are any.
    start
        Whose vertebra stage is built on, and whose fracture network is trained on where there is one and the recipe
        wants it.
    place
        Where the training computes.

    Raises
    ------
    NoImages
        There is no such set.
    ConfigError
        Too few patients for the folds, a class is missing, the run folder belongs to another recipe, or the fracture
        network that would go on has learned from studies: it may have seen those that its folds are to answer.
    """
    if _goes_on(recipe, start) and LEARNED_FROM_STUDIES in start.manifest.training.get("fractures", {}):
        raise ConfigError(
            f"the fracture network of bundle {start.short_id} ({start.manifest.name}) has learned from studies; if it "
            "went on, folds would be answered by a network that may have seen them; begin from another bundle, or "
            "give --from-noise"
        )
    document = {"recipe": recipe.document(), "vertebrae": start.id, "data": root.resolve().name}
    keep_recipe(document, run, but=("workers", "threads"))  # a run may go on on another machine
    if (run / "bundle").exists():
        return load_bundle(run / "bundle")
    studies = _read(recipe, root, say)
    vertebrae = adapted_vertebrae(recipe.adapt, studies.files, run / "vertebrae", start, say, place=place)
    crops = _crops(recipe, studies, vertebrae, run, say)
    first = _first(recipe, start, crops.persons, run / "phantoms", say, place=place)
    kept = replace(crops, persons=crops.persons[: round(recipe.phantom_share * len(crops.persons))])
    about = _about(recipe, studies, kept, (vertebrae, start), root)
    scores: list[dict[str, TunedStudy]] = []
    networks: list[nn.Module] = []
    for k, held in enumerate(studies.folds):
        networks.append(_trained(recipe, kept.without(held), run / f"fold-{k}", first, say, place=place))
        untuned = write_fracture_bundle(run / f"fold-{k}" / "bundle-untuned", vertebrae, (networks[k],), about, None)
        scores.append(_scored(studies, held, Analyzer(untuned, threads=recipe.phantoms.threads), run / f"fold-{k}"))
        say(f"fold {k + 1} of {len(studies.folds)}: {len(scores[k])} of {len(held)} studies scored")
    answered: list[AnsweredSet] = []
    for k, held in enumerate(studies.folds):
        others = [study for j, of in enumerate(scores) if j != k for study in of.values()]
        tuned = _tuned(recipe, others, f"{len(others)} studies of the other folds of {root.name}")
        bundle = write_fracture_bundle(run / f"fold-{k}" / "bundle", vertebrae, (networks[k],), about, tuned)
        answered.append(_answered(studies, held, bundle, recipe.phantoms.threads, run / "evaluation"))
        say(f"fold {k + 1} of {len(studies.folds)}: {len(held)} studies answered")
    _write_page(answered, studies, root, about, run / "evaluation")
    every = [study for of in scores for study in of.values()]
    tuned = _tuned(recipe, every, f"{len(every)} studies of {root.name}, each scored by a network without it")
    members = (
        networks if recipe.ensemble else (_trained(recipe, kept.without(()), run / "all", first, say, place=place),)
    )
    return write_fracture_bundle(run / "bundle", vertebrae, members, about, tuned)


def _read(recipe: FlagshipRecipe, root: Path, say: Say) -> _Set:
    index = index_rsna(root, workers=recipe.phantoms.cases.workers).index  # another run reads only what changed
    labels = study_labels_of(index)
    table, _ = labeled_studies(index)
    table = table[table["StudyInstanceUID"].isin(list(labels))].reset_index(drop=True)
    split = split_studies(table, f"{recipe.folds}-fold", recipe.seed)
    files = tuple(f for f in studies_of(index) if f.uid in labels)
    if not files:
        raise NoImages(f"{root}: no usable study of train_images has a whole row in train.csv")
    barred = [f.uid for f in files if phantom_family(f) == "B"]
    if barred:
        raise ConfigError(f"{root}: {len(barred)} phantoms of family B, such as {barred[0]}; family B only evaluates")
    folds = tuple(split.parts[f"fold-{k}"] for k in range(recipe.folds))
    for k, held in enumerate(folds):
        rest = [labels[f.uid].overall for f in files if f.uid not in held]
        if min(sum(rest), len(rest) - sum(rest)) < FEWEST:
            raise ConfigError(
                f"{root}: without fold {k + 1} of {recipe.folds} there are {sum(rest)} fractured studies and "
                f"{len(rest) - sum(rest)} others, must be {FEWEST} of each to calibrate; use more studies or folds"
            )
    known = {study.files.uid: study for study in read_known(root)}
    phantom = all((root / "truth" / f"{f.uid}.json").is_file() for f in files)
    broken = sum(labels[f.uid].overall for f in files)
    masks, boxed = sum(f.mask is not None for f in files), sum(bool(f.boxes) for f in files)
    say(f"{len(files)} studies, {broken} fractured, {boxed} with boxes, {masks} with masks")
    return _Set(known, files, labels, folds, phantom)


def _crops(recipe: FlagshipRecipe, studies: _Set, vertebrae: ModelBundle, run: Path, say: Say) -> _Crops:
    persons = tuple(make_fracture_cases(recipe.phantoms.cases, run / "phantoms" / "cases"))
    analyzer = Analyzer(vertebrae, threads=recipe.phantoms.threads)
    path = run / "left-out.json"
    left: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    found: tuple[dict[str, Path], dict[str, Path]] = ({}, {})
    for number, files in enumerate(studies.files):
        own, made = run / "studies" / files.uid, run / "generated" / files.uid
        if not own.exists() and files.uid not in left:
            reason = _cut(recipe, studies.labels[files.uid], (files, number), analyzer, (own, made))
            if reason:
                left[files.uid] = reason
                path.write_text(json.dumps(left, indent=2))
        for folder, of in zip((own, made), found, strict=True):
            if folder.exists():
                of[files.uid] = folder
    say(
        f"crops of {len(found[0])} studies, {len(found[1])} with fractures put in, {len(persons)} phantom persons; "
        f"{len(left)} studies left out"
    )
    return _Crops(*found, persons)


def _cut(
    recipe: FlagshipRecipe,
    labels: StudyLabels,
    what: tuple[StudyFiles, int],
    analyzer: Analyzer,
    where: tuple[Path, Path],
) -> str:
    """Store the crops of a study, and of the study with fractures put in; return why there are none, or nothing."""
    files, number = what
    own, made = where
    spec = recipe.phantoms.spec
    rng = np.random.default_rng([recipe.seed, number, 7])
    try:
        study = read_study(files, workers=1)
        outlined, seen = outlined_study(study, analyzer)
    except InputError as error:
        return str(error)
    if not seen:
        return "no vertebra is seen whole"
    if not labels.overall and rng.uniform() < recipe.generated and not made.exists():
        store_generated(outlined, seen, sample_fractures(rng, mix=recipe.mix, bottom=Vertebra.C7), spec, made)
    store_study(outlined, seen, labels, spec, own)
    return ""


def _goes_on(recipe: FlagshipRecipe, start: ModelBundle) -> bool:
    return recipe.continued and goes_on(start)


def _first(
    recipe: FlagshipRecipe, start: ModelBundle, persons: tuple[Path, ...], run: Path, say: Say, *, place: Place
) -> FractureNet:
    """Return the fracture network before it sees a study: that of the bundle, or what phantoms alone make of noise."""
    if not _goes_on(recipe, start):
        tasks = PhaseTasks(len(persons), lambda count: persons[:count], widths=recipe.phantoms.widths)
        return train_phases(recipe.phantoms.phases, tasks, run, say, place=place)
    say(f"the fracture network goes on from that of bundle {start.short_id}")
    return begun_fractures(start, FRACTURE_GRAPH, recipe.tune, persons)


def _trained(
    recipe: FlagshipRecipe, cases: tuple[Path, ...], run: Path, first: FractureNet, say: Say, *, place: Place
) -> nn.Module:
    task = FractureTask(cases, recipe.tune.plan, first.widths)
    start = task.network()
    start.load_state_dict(first.state_dict())
    return train_phase(recipe.tune, task, run / "network", start, say, place=place)


def _scored(studies: _Set, held: Sequence[str], analyzer: Analyzer, fold: Path) -> dict[str, TunedStudy]:
    """Return the scores of the studies of a fold; a refused one has none."""
    path = fold / "scores.npz"
    if not path.exists():
        save_scores(score_site([studies.known[uid] for uid in held], analyzer).scored, path)
    return load_scores(path)


def _tuned(recipe: FlagshipRecipe, studies: Sequence[TunedStudy], name: str) -> Tuned:
    errors = (recipe.phantoms.level_errors, recipe.phantoms.study_errors)
    try:
        return tune(studies, recipe.phantoms.localize, name, errors)
    except ValueError as error:
        raise ConfigError(f"calibration on {name}: {error}; use more studies or fewer folds") from error


def _answered(studies: _Set, held: Sequence[str], bundle: ModelBundle, threads: int, out: Path) -> AnsweredSet:
    analyzer = Analyzer(bundle, threads=threads, prevalence=TRAUMA_PREVALENCE)
    return answered_by_bundle([studies.known[uid] for uid in held], analyzer, bundle.manifest.id, out)


def _write_page(answered: Sequence[AnsweredSet], studies: _Set, root: Path, about: FractureAbout, out: Path) -> None:
    whole = AnsweredSet(
        tuple(k for part in answered for k in part.known),
        tuple(a for part in answered for a in part.answers),
        (
            f"Each study was answered by the bundle of its fold ({len(answered)} folds, grouped by patient), whose "
            "calibration was chosen on the other folds.",
            *(note for part in answered for note in part.notes),
        ),
    )
    labels = np.array([known.truth.labels for known in whole.known])
    priors = priors_of(labels)
    found = run_evaluation(whole, EvaluationSettings(priors, TRAUMA_PREVALENCE, priors.study))
    today = date.today().isoformat()
    title = EvaluationTitle(about.name, "", root.name, f"cspine {__version__}", today, studies.phantom)
    write_evaluation(found, whole, title, out)


def _about(
    recipe: FlagshipRecipe, studies: _Set, crops: _Crops, bundles: tuple[ModelBundle, ModelBundle], root: Path
) -> FractureAbout:
    vertebrae, start = bundles
    persons = recipe.phantoms.cases.persons
    said = {
        "name": recipe.name,
        "version": recipe.version,
        "data": root.name,
        "studies": len(crops.studies),
        "left": len(studies.files) - len(crops.studies),
        "fractured": sum(studies.labels[uid].overall for uid in crops.studies),
        "boxed": sum(bool(f.boxes) for f in studies.files),
        "masks": sum(f.mask is not None for f in studies.files),
        "vertebrae": vertebrae.short_id,
        "adapt": recipe.adapt.loop.steps,
        "begun": f"that of bundle {start.short_id}" if _goes_on(recipe, start) else f"{persons} phantom persons first",
        "steps": recipe.tune.loop.steps,
        "batch": recipe.tune.loop.batch,
        "share": recipe.phantom_share,
        "generated": len(crops.generated),
        "seed": recipe.seed,
    }
    card = flagship_card(said, phantom=studies.phantom)
    return FractureAbout(
        recipe.name,
        recipe.version,
        recipe.tune.plan.fracture,
        recipe.phantoms.localize,
        recipe.document(),
        card,
        level_errors=recipe.phantoms.level_errors,
        study_errors=recipe.phantoms.study_errors,
    )


__all__ = ["train_flagship"]
