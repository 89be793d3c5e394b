"""How well a bundle parts broken vertebrae from whole ones on stored crops, by severity of the break.

python -m tools.crop_auc BUNDLE --cases runs/fractures/cases [--persons 12] [--csv FILE]

Crops are those that `cspine train fractures` stores (a folder ``person_…`` each), with the true outlines, in the middle
of the crop, unchanged: no vertebra stage, no calibration. Give persons that did not train the bundle. The table has the
AUC against all crops without a fracture of their own vertebra, and against the unbroken twins alone, which are the same
persons; intervals (95 %) redraw persons. All figures are phantom figures.
"""

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cspine.evaluation import Estimate, figures_by_study
from cspine.models import ModelBundle, load_bundle, open_session
from cspine.pipeline import FractureSpec, IntensitySpec, PipelineSpec, fracture_channels
from cspine.pipeline.fracture import Member, answer
from cspine.training.fracture_cases import LABEL_BITS, CropFile, load_crops, middle
from tools.severities import GROUPS

COLUMNS = ("severity", "broken", "whole", "persons", "AUC", "twins", "AUC against twins")


@dataclass(frozen=True, eq=False)
class CropScores:
    """One row per crop: person, logit of a fracture, severity (0: whole), whether it is an unbroken twin."""

    person: np.ndarray
    logit: np.ndarray
    severity: np.ndarray
    twin: np.ndarray


def inputs(crops: CropFile, spec: FractureSpec, intensity: IntensitySpec) -> Iterator[np.ndarray]:
    """Yield the network's input of each crop (3, slice, row, column): the middle, padded where the crop is smaller."""
    for hu, codes, vertebra in zip(crops.hu, crops.codes, crops.vertebra, strict=True):
        shown = middle(np.asarray(hu, dtype=np.float32), spec.shape, intensity.pad_hu)
        labels = middle(np.asarray(codes) & LABEL_BITS, spec.shape, 0)
        own, other = labels == vertebra, (labels > 0) & (labels != vertebra)
        yield fracture_channels(shown, own, other, intensity, spec)


def score(persons: Sequence[Path], members: Sequence[Member], spec: PipelineSpec) -> CropScores:
    """Return what the networks say of every crop.

    Raises
    ------
    ValueError
        The bundle has no fracture stage.
    """
    if spec.fracture is None:
        raise ValueError("the bundle has no fracture stage")
    rows: list[tuple[str, float, int, bool]] = []
    for folder in persons:
        crops = load_crops(folder)
        for k, crop in enumerate(inputs(crops, spec.fracture, spec.intensity)):
            _, heads = answer(members, crop[None], mirrored=spec.fracture.mirrored)
            severity = int(crops.severity[k]) if crops.fractured[k] else 0
            rows.append((folder.name, float(heads[0, 0]), severity, bool(crops.twin[k])))
    person, logit, severities, twin = zip(*rows, strict=True)
    return CropScores(np.array(person), np.array(logit), np.array(severities), np.array(twin))


def table(scores: CropScores) -> list[tuple[str | int | Estimate, ...]]:
    """Return a row for each group of severities that there is a crop of; columns as `COLUMNS`."""
    rows: list[tuple[str | int | Estimate, ...]] = []
    for name, severities in GROUPS.items():
        broken = np.isin(scores.severity, severities)
        if not broken.any():
            continue
        whole = scores.severity == 0
        counts = (int(broken.sum()), int(whole.sum()), len(np.unique(scores.person[broken | whole])))
        twins = whole & scores.twin
        rows.append((name, *counts, _auc(scores, broken, whole), int(twins.sum()), _auc(scores, broken, twins)))
    return rows


def _auc(scores: CropScores, broken: np.ndarray, whole: np.ndarray) -> Estimate | str:
    kept = broken | whole
    if not whole.any():
        return "–"
    truth = broken[kept].astype(float)
    return figures_by_study(truth, scores.logit[kept], scores.person[kept].tolist(), np.random.default_rng(0))["auc"]


def members_of(bundle: ModelBundle, spec: PipelineSpec) -> list[Member]:
    """Return the fracture networks of a bundle, ready to run on one thread."""
    names = () if spec.fracture is None else spec.fracture.graphs
    return [open_session(bundle, name, engine="onnxruntime", threads=1) for name in names]


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--cases", type=Path, required=True, help="folder of person_… folders")
    parser.add_argument("--persons", type=int, default=0, help="the last ones only; 0 takes all")
    parser.add_argument("--csv", type=Path, help="also write every score here")
    options = parser.parse_args(arguments)
    bundle = load_bundle(options.bundle)
    spec = PipelineSpec.from_manifest(bundle.manifest.preprocess)
    persons = sorted(options.cases.glob("person_*"))[-options.persons :]
    if not persons:
        raise SystemExit(f"{options.cases}: no folder person_…; cspine train fractures makes them in RUN/cases")
    scores = score(persons, members_of(bundle, spec), spec)
    print(f"PHANTOM crops of {len(persons)} persons, bundle {bundle.short_id}")
    print(" | ".join(COLUMNS))
    for row in table(scores):
        print(" | ".join(str(cell) for cell in row))
    if options.csv is not None:
        with options.csv.open("w", newline="") as file:
            rows = zip(scores.person, scores.logit, scores.severity, scores.twin, strict=True)
            csv.writer(file).writerows([("person", "logit", "severity", "twin"), *rows])


if __name__ == "__main__":
    main()
