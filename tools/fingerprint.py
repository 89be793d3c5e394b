"""Does the way a fracture is made leave marks of its own? Sham edits and untouched crops, told apart by classifiers.

::

    python -m tools.fingerprint real ../shared/data/real --masks MASKS --crops 1000 --out FILE.json
    python -m tools.fingerprint real … --edit small-shift
    python -m tools.fingerprint phantoms --persons 8 --crops 1000 --out FILE.json [--edit small-shift]

A sham takes the whole path with zero gap, shift, turn, impaction and swelling. `real` inserts into scans with masks of
the shipped bundle, kept in MASKS. A sham that changes no byte cannot be told from anything, so small shifts (0.5 mm,
no gap), looked at only away from the break's mask, may be tried as well: no fracture, but pieces are cut and moved.
`phantoms` renders persons with and without edits. Every crop has noise or a place of its own. A logistic regression
and a random forest see local statistics of bone and of what surrounds it; they are trained on some scans (persons) and
tried on the others. Intervals draw whole series, since the crops of one share its scanner.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cspine.domain import CERVICAL, ConfigError, Grid, LabelMap, Vertebra, Volume
from cspine.models import default_bundle_path, load_bundle
from cspine.phantom import (
    CropPlan,
    Field,
    Fracture,
    FractureType,
    Site,
    Subject,
    crops_of,
    insert_at,
    look_of,
    make_subject,
    prepare_site,
    sample_spec,
    types_at,
)
from cspine.phantom.fractures.truth import fracture_truth
from cspine.phantom.render import render_hu
from cspine.pipeline import Analyzer
from cspine.stores import open_source

SCANS = {
    "visible-human": "visible-human-female-head/vhf_head_1mm_hu.nii.gz",
    "unc": "unc-cthead/cthead_1x1x2mm_hu_approx.nii.gz",
    "thorax": "onkodicom-thorax/dicom",
}
NOT_INSERTED = (FractureType.FACET_SUBLUXATION, FractureType.PILLAR_SUBLUXATION, FractureType.TRANSDISCAL)
MOVING = (FractureType.SAGITTAL_SPLIT, FractureType.CORONAL_SPLIT, FractureType.SPINOUS_PROCESS, FractureType.PILLAR)
HALF_MM = np.array([15.0, 22.0, 22.0])
JITTER_MM = 6.0
SMALL_SHIFT_MM = 0.5
SAME_HU = 0.01
HIDDEN_VOXELS = 3  # what is nearer to a fracture's mask is not looked at
DRAWS = 2000
PLAN = CropPlan(shape=(28, 40, 44), spacing_mm=(1.5, 1.25, 1.25), scans=20)


@dataclass(frozen=True)
class Sample:
    """Features of one crop, whether it was edited, its case, and what it shares chance with (scanner, place)."""

    features: list[float]
    edited: bool
    case: str
    series: str


def features_of(hu: np.ndarray, bone: np.ndarray, hidden: np.ndarray | None = None) -> list[float]:
    """Return local statistics of bone and of what lies within 4 voxels of it; hidden voxels are left out."""
    values = hu.astype(np.float32)
    mean = ndimage.uniform_filter(values, 3)
    rest = values - mean
    spread = np.sqrt(np.maximum(ndimage.uniform_filter(rest * rest, 3), 0))
    slope = np.sqrt(sum(g * g for g in np.gradient(values)))
    curve = np.abs(ndimage.laplace(values))
    near = ndimage.binary_dilation(bone, iterations=4) & ~bone
    seen = []
    for region in (bone, near):
        where = region if hidden is None else region & ~hidden
        if where.sum() < 50:
            seen += [0.0] * 20
            continue
        for image, levels in (
            (values, (5, 50, 95)),
            (spread, (5, 25, 50, 90)),
            (slope, (25, 50, 90)),
            (curve, (50, 90)),
        ):
            seen += np.percentile(image[where], levels).tolist()
        inside = rest[where]
        power = float((inside**2).mean()) + 1e-6
        seen += [float(np.sqrt(power)), float((inside**4).mean()) / power**2]
        for axis in range(3):
            pair = where & np.roll(where, 1, axis)
            seen.append(float((rest * np.roll(rest, 1, axis))[pair].mean()) / power)
        seen += [float((hu[where] % 2 == 1).mean()), float(np.abs(inside).mean()), float(spread[where].std())]
    return seen


def scans(root: Path, masks: Path) -> Iterator[tuple[str, Volume, LabelMap]]:
    """Yield the real scans with the masks of the shipped bundle, which are kept."""
    analyzer = None
    for name, path in SCANS.items():
        with open_source(root / path) as source:
            volume = source.studies()[0].load().volume.canonical()
        kept = masks / f"{name}.npz"
        if not kept.exists():
            analyzer = analyzer or Analyzer(load_bundle(default_bundle_path()), threads=2)
            np.savez_compressed(kept, labels=analyzer.analyze(volume).labels.labels)
        yield name, volume, LabelMap(volume.grid, np.load(kept)["labels"])


def sites(root: Path, masks: Path) -> Iterator[tuple[str, Site, np.ndarray]]:
    """Yield every vertebra that takes fractures, and the HU of its box."""
    for name, volume, labels in scans(root, masks):
        look = look_of(volume, labels)
        for level in CERVICAL:
            try:
                site = prepare_site(volume, labels, level, look)
            except ConfigError as error:
                print(f"{name}: {error}", flush=True)
                continue
            yield name, site, volume.hu[site.outline.box.slices]


def sham(site: Site, rng: np.random.Generator) -> Fracture:
    """Draw a sham of any type that exists there."""
    return _any(site.vertebra, rng).sham


def _any(level: Vertebra, rng: np.random.Generator) -> Fracture:
    kinds = [kind for kind in types_at(level) if kind not in NOT_INSERTED]
    kind = kinds[int(rng.integers(len(kinds)))]
    return Fracture(kind, level, severity=int(rng.integers(1, 6)), seed=int(rng.integers(2**31)))


def small_shift(site: Site, rng: np.random.Generator) -> Fracture:
    """Draw a closed break whose piece moves by half a millimeter."""
    return _small_shift(site.vertebra, rng)


def _small_shift(level: Vertebra, rng: np.random.Generator) -> Fracture:
    kind = MOVING[int(rng.integers(len(MOVING)))]
    seed = int(rng.integers(2**31))
    drawn = Fracture(kind, level, severity=3, seed=seed)
    return replace(drawn, gap_mm=0.0, shift_mm=SMALL_SHIFT_MM, turn_deg=0.0, impaction=0.0, swelling_mm=0.0)


def real_samples(
    root: Path, masks: Path, crops: int, draw: Callable[[Site, np.random.Generator], Fracture], *, hide: bool
) -> list[Sample]:
    """Edit and crop: as many edited as untouched crops of every vertebra, in other places."""
    every = [(n, s, hu) for n, s, hu in sites(root, masks) if s.vertebra > Vertebra.C2 or not hide]
    rng = np.random.default_rng(11)
    samples, same = [], 0
    for number in range(2 * crops):
        name, site, hu = every[number // 2 % len(every)]
        edited, after, hidden = number % 2 == 0, hu, None
        if edited or hide:
            done = insert_at(site, [draw(site, rng)], rng)
            after = np.rint(hu + done.added_hu).astype(np.int16) if edited else hu
            hidden = ndimage.binary_dilation(done.fractures > 0, iterations=HIDDEN_VOXELS) if hide else None
        same += int(edited and np.array_equal(after, hu))
        part = _window(site, rng)
        samples.append(
            Sample(
                features_of(after[part], site.outline.own[part], None if hidden is None else hidden[part]),
                edited,
                name,
                str(number),
            )
        )
    print(f"{same} of {crops} edited crops have the bytes of the scan", flush=True)
    return samples


def _window(site: Site, rng: np.random.Generator) -> tuple[slice, ...]:
    middle = np.argwhere(site.outline.own).mean(axis=0)
    spacing = np.array(site.grid.spacing_mm)
    middle = middle + rng.uniform(-JITTER_MM, JITTER_MM, 3) / spacing
    half = HALF_MM / spacing
    return tuple(
        slice(max(0, int(m - h)), min(n, int(m + h) + 1)) for m, h, n in zip(middle, half, site.grid.shape, strict=True)
    )


def phantom_samples(persons: int, crops: int, *, hide: bool) -> list[Sample]:
    """Render persons with and without edits of every vertebra, each scanned anew; hide the masks of the edits."""
    samples, same = [], 0
    scans_each = int(np.ceil(crops / persons / len(CERVICAL)))
    for person in range(persons):
        rng = np.random.default_rng([17, person])
        spec = replace(sample_spec(rng, field=Field.WHOLE), fillings=0.0)  # streaks of metal only take time
        edits = tuple(_edit_of_phantom(level, rng, hide=hide) for level in CERVICAL)
        subject = make_subject(replace(spec, fractures=edits))
        same += _is_same(subject)
        for edited in (True, False):
            given = replace(spec, fractures=edits if edited else ())
            plan = replace(PLAN, scans=scans_each)
            for number, crop in enumerate(crops_of(given, plan, np.random.default_rng([19, person, edited]))):
                series = f"{person}-{edited}-{number // len(CERVICAL)}"
                bone = crop.labels.labels == crop.vertebra
                hidden = None
                if hide:
                    masks, _ = fracture_truth(subject.fractures, crop.volume.grid, subject.warp)
                    hidden = ndimage.binary_dilation(masks.labels > 0, iterations=HIDDEN_VOXELS)
                samples.append(Sample(features_of(crop.volume.hu, bone, hidden), edited, str(person), series))
        print(f"person {person + 1} of {persons}", flush=True)
    print(f"{same} of {persons} edited persons are painted within 0.01 HU as untouched ones", flush=True)
    return samples


def _edit_of_phantom(level: Vertebra, rng: np.random.Generator, *, hide: bool) -> Fracture:
    """Draw a sham, or a small shift where one exists: C1 and C2 move nothing."""
    return _small_shift(level, rng) if hide and level > Vertebra.C2 else _any(level, rng).sham


def _is_same(subject: Subject) -> bool:
    """Return whether the bones of C5 look broken or not alike."""
    x, y, z = subject.centers_lps_mm[Vertebra.C5]
    grid = Grid.from_axes((30, 60, 60), (1.0, 1.0, 1.0), (x - 30, y - 15, z + 15))
    edited, whole = (render_hu(s, grid, threads=1) for s in (subject, replace(subject, fractures=())))
    return bool(np.abs(edited - whole).max() < SAME_HU)


def tried(samples: list[Sample]) -> dict[str, dict[str, float]]:
    """Return the area under the curve of each classifier on cases that it has not seen, with a 95 % interval."""
    table = np.array([s.features for s in samples])
    truth, case = np.array([s.edited for s in samples]), np.array([s.case for s in samples])
    series = np.unique([s.series for s in samples], return_inverse=True)[1]
    kinds = {
        "logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500)),
        "forest": lambda: RandomForestClassifier(200, min_samples_leaf=5, random_state=0),
    }
    result = {}
    for name, make in kinds.items():
        scores = np.zeros(len(truth))
        for held in _folds(case):
            model = make().fit(table[~held], truth[~held])
            scores[held] = _ranks(model.predict_proba(table[held])[:, 1])
        result[name] = _interval(truth, scores, series)
    return result


def _folds(case: np.ndarray) -> Iterator[np.ndarray]:
    names = sorted(set(case.tolist()))
    for fold in range(min(5, len(names))):
        yield np.isin(case, names[fold :: min(5, len(names))])


def _ranks(scores: np.ndarray) -> np.ndarray:
    """Return scores as ranks 0 … 1: folds are pooled, and each has its own level."""
    order = scores.argsort().argsort()
    ranks: np.ndarray = order / max(1, len(scores) - 1)
    return ranks


def _interval(truth: np.ndarray, scores: np.ndarray, series: np.ndarray) -> dict[str, float]:
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(series == k) for k in range(int(series.max()) + 1)]
    drawn = []
    for _ in range(DRAWS):
        some = np.concatenate([members[k] for k in rng.integers(0, len(members), len(members))])
        if truth[some].any() and not truth[some].all():
            drawn.append(roc_auc_score(truth[some], scores[some]))
    low, high = np.quantile(drawn, (0.025, 0.975))
    area = float(roc_auc_score(truth, scores))
    return {"auc": area, "low": float(low), "high": float(high), "n": len(truth), "series": len(members)}


def main() -> None:
    """Run one trial and print its areas."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    real = commands.add_parser("real")
    real.add_argument("data", type=Path)
    real.add_argument("--masks", type=Path, required=True)
    phantoms = commands.add_parser("phantoms")
    phantoms.add_argument("--persons", type=int, default=8)
    for command in (real, phantoms):
        command.add_argument("--edit", choices=("sham", "small-shift"), default="sham")
        command.add_argument("--crops", type=int, default=1000)
        command.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    hide = given.edit == "small-shift"
    if given.command == "real":
        given.masks.mkdir(parents=True, exist_ok=True)
        samples = real_samples(given.data, given.masks, given.crops, small_shift if hide else sham, hide=hide)
    else:
        samples = phantom_samples(given.persons, given.crops, hide=hide)
    found = {given.edit: tried(samples)}
    given.out.write_text(json.dumps(found, indent=1))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
