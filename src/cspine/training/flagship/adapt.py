"""The vertebra stage learns what the studies look like: from their masks, and from its own labels where it is sure."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from cspine import __version__
from cspine.datasets import LabeledStudy, StudyFiles, read_study
from cspine.domain import InputError
from cspine.models import ManifestParts, ModelBundle, load_bundle, write_bundle
from cspine.pipeline import Analyzer, Located, PipelineSpec
from cspine.training.devices import ANYWHERE, Place
from cspine.training.export import ExportedGraph, export_coarse
from cspine.training.flagship.recipe import AdaptPlan
from cspine.training.fractures import Say
from cspine.training.loop import fit
from cspine.training.make_cases import make_cases
from cspine.training.pseudo_labels import LOWER_CLASS, consistent, labeled
from cspine.training.real_cases import RealCase, save_real_case
from cspine.training.vertebra_tasks import CoarseTask
from cspine.training.vertebrae import begin_from

WHOLE, UNSURE = "real.json", "unsure"
CARD = """# {name}

Research use only. Not a medical device.

The vertebra stage of bundle {start}; its whole-volume network was trained on for {steps} steps, with {taught} studies
among the phantoms: {masks} by their masks, the others by its own labels, where all of C1–C7 stood in order.
"""


def adapted_vertebrae(
    plan: AdaptPlan,
    studies: Sequence[StudyFiles],
    run: Path,
    start: ModelBundle,
    say: Say,
    *,
    place: Place = ANYWHERE,
) -> ModelBundle:
    """Return the bundle ``run/bundle``: the vertebra stage of `start`, its whole-volume network trained on.

    Parameters
    ----------
    studies
        Those with masks teach first, then others whose sequence is consistent.

    Raises
    ------
    BundleIncompatible
        The networks of `start` are not those of this version.
    """
    if plan.loop.steps == 0:
        return start
    if (run / "bundle").exists():
        return load_bundle(run / "bundle")
    taught, masks = _teachers(plan, studies, run / "teachers", start)
    say(f"vertebrae: {len(taught)} of {len(studies)} studies teach, {masks} of them by their masks")
    task = CoarseTask(tuple(make_cases(plan.phantoms, run / "phantoms")), real=taught)
    done = run / "coarse.pt"
    if not done.exists():

        def report(step: int, parts: dict[str, float]) -> None:
            say(f"vertebrae {step}/{plan.loop.steps}  loss {parts['loss']:.4f}")

        network = begin_from(start, "coarse", task, plan.loop.seed)
        torch.save(fit(task, plan.loop, run / "coarse", network, report, place=place).state_dict(), done)
    coarse = task.network()
    coarse.load_state_dict(torch.load(done, weights_only=True))
    exported = export_coarse(coarse.eval(), PipelineSpec.from_manifest(start.manifest.preprocess).coarse.multiple)
    training = {"start": start.id, "taught": len(taught), "by_masks": masks, "steps": plan.loop.steps}
    card = CARD.format(name=_name(start), start=start.short_id, steps=plan.loop.steps, taught=len(taught), masks=masks)
    return write_vertebra_stage(run / "bundle", start, exported, training, card)


def write_vertebra_stage(
    folder: Path, start: ModelBundle, coarse: ExportedGraph, training: dict[str, object], card: str
) -> ModelBundle:
    """Write a bundle that finds and names vertebrae as `start` does, with another whole-volume network.

    A fracture stage of `start` is left out: it was trained and calibrated on what the old network found.
    """
    old = start.manifest
    spec = replace(PipelineSpec.from_manifest(old.preprocess), fracture=None, localize=None)
    parts = ManifestParts(
        name=_name(start),
        version=old.version,
        created_by=f"cspine {__version__}",
        precision=old.precision,
        labels={key: names for key, names in old.labels.items() if key not in {"types", "mimics"}},
        preprocess=spec.to_manifest(),
        parity={"coarse": coarse.parity, "refine": old.parity["refine"]},
        training=training,
    )
    graphs = {"coarse": coarse.onnx, "refine": start.graph_bytes("refine")}
    return write_bundle(folder, parts, graphs, card)


def _name(start: ModelBundle) -> str:
    return f"{start.manifest.name}-adapted"


def _teachers(
    plan: AdaptPlan, studies: Sequence[StudyFiles], root: Path, start: ModelBundle
) -> tuple[tuple[Path, ...], int]:
    """Return the folders of studies that teach, and how many teach by their masks."""
    analyzer = Analyzer(start, threads=plan.loop.threads)
    kept: list[Path] = []
    masks = 0
    for files in sorted(studies, key=lambda files: (files.mask is None, files.uid)):
        if len(kept) == plan.studies:
            break
        folder = root / files.uid
        if not (folder / WHOLE).exists() and not (folder / UNSURE).exists():
            _store(_taught(files, analyzer, plan), folder)
        if (folder / WHOLE).exists():
            kept.append(folder)
            masks += files.mask is not None
    return tuple(kept), masks


def _store(case: RealCase | None, folder: Path) -> None:
    if case is not None:
        save_real_case(case, folder)
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / UNSURE).touch()


def _taught(files: StudyFiles, analyzer: Analyzer, plan: AdaptPlan) -> RealCase | None:
    """Return what a study teaches; ``None`` when it cannot be read, or its labels are not sure."""
    try:
        study = read_study(files, workers=1)
        located = analyzer.locate(study.volume)
    except InputError:
        return None
    if study.labels is not None:
        return _by_mask(located, study)
    return labeled(located) if consistent(located, plan.rule) else None


def _by_mask(located: Located, study: LabeledStudy) -> RealCase | None:
    """Return a case with the vertebrae of the mask, and of everything else what the network says.

    Centers are the network's, each where the mask gives that level, or they are left out.
    """
    assert study.labels is not None
    own, mask = labeled(located), study.labels.labels
    classes = np.where(own.classes > LOWER_CLASS, own.classes, 0).astype(np.uint8)
    classes[mask > 0] = np.minimum(mask[mask > 0], LOWER_CLASS)
    centers = {v: c for v, c in own.centers_lps_mm.items() if _near(own, mask, int(v), c)}
    return RealCase(own.grid, own.hu, classes, centers) if centers else None


def _near(case: RealCase, mask: np.ndarray, value: int, center_lps_mm: np.ndarray, reach: int = 3) -> bool:
    """Return whether a mask has that value within a few voxels of a point."""
    index = np.rint(case.grid.to_index(center_lps_mm)).astype(int)
    near = tuple(slice(max(0, int(i) - reach), max(0, int(i) + reach + 1)) for i in index)
    return bool((mask[near] == value).any())


__all__ = ["adapted_vertebrae"]
