"""Compare phantoms with people by number: extents of the levels, HU of tissues, noise.

    python -m tools.realism phantoms --count 50 --seed 900 --out realism [--meshes FOLDER]
    python -m tools.realism real DATA --out realism [--masks MASKS]
    python -m tools.realism table DATA --out realism

Three phantoms are one person in three postures; the first is scanned as the Visible Human was: 1 mm pixels and slices,
a soft kernel, 9 HU of noise. The real heads are measured round places that were read off them, and their bone within
masks of the shipped bundle, which `tools.fingerprint` keeps, grown to the edge of bone. Figures are kept as JSON, one
file each, so a run that stopped goes on where it was.
"""

import argparse
import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np

from cspine.domain import CERVICAL, Grid, LabelMap, Vertebra, Volume
from cspine.phantom import PROCEDURAL, Coverage, Field, Scanner, Subject, make_subject, sample_spec, scan_subject
from cspine.phantom.insertion.outline import outline_of
from cspine.phantom.kernels import SOFT_KERNELS
from cspine.phantom.posture import sample_posture
from cspine.phantom.realism import bone_figures, core_figures, extent_figures, nape_figures, tissue_figures
from cspine.phantom.render import render_labels
from cspine.stores import open_source
from tools.evaluate_necks import axis_of, necks

LEVELS = (Vertebra.C3, Vertebra.C4)  # what the Visible Human and the UNC head show whole
HEADS = ("visible-human-female-head", "unc-cthead")
MASKS = {HEADS[0]: "visible-human.npz", HEADS[1]: "unc.npz"}
# Centers of bodies in LPS mm, read off the sagittal slices; of the UNC head, whose neck is turned, C3 alone.
PLACES = {
    HEADS[0]: {
        Vertebra.C3: (248.0, 238.5, 33.0),
        Vertebra.C4: (248.0, 242.0, 17.5),
        Vertebra.C5: (248.0, 247.0, 2.0),
    },
    HEADS[1]: {Vertebra.C3: (128.0, 125.0, 28.0)},
}
SCANNER = Scanner(
    field_of_view_mm=150.0, matrix=(150, 150), spacing_mm=1.0, thickness_mm=1.0, kernel=SOFT_KERNELS[1], noise_hu=9.0
)
KBP_NECKS = 24
POSTURES = 3  # phantoms of one person: growing the bones is most of the work
LABEL_MM = 1.2
MORPHOMETRY = "morphometry/cervical_morphometry.csv"
OVERLAP_SD_MM = 2.8  # RSNA 2022: overlaps of 11 … 22 mm, read as 2 SD to both sides


def phantom_figures(seed: int, anatomy: str) -> dict[str, float]:
    """Make one phantom and measure it; of every person the first posture is scanned as well."""
    person = sample_spec(np.random.default_rng(seed - seed % POSTURES), anatomy=anatomy, field=Field.WHOLE)
    spec = replace(person, posture=sample_posture(np.random.default_rng(seed)))
    subject = make_subject(spec)
    figures = extent_figures(render_labels(subject, _label_grid(subject), threads=1))
    if seed % POSTURES == 0:
        coverage = Coverage(top=Vertebra.C2, top_mm=8.0, bottom=Vertebra.C5, bottom_mm=14.0, offset_mm=(0.0, 12.0))
        case = scan_subject(subject, replace(spec, scanner=SCANNER, coverage=coverage), threads=1)
        centers = {t.vertebra: np.array(t.center_lps_mm) for t in case.truth.vertebrae}
        figures |= tissue_figures(case.volume, case.labels, centers, LEVELS)
    return figures


def _label_grid(subject: Subject) -> Grid:
    """Return a grid round C1 … C7 of 1 mm slices."""
    centers = subject.centers_lps_mm
    seen = np.array([centers[v] for v in CERVICAL])
    low, high = seen.min(axis=0) - np.array([50.0, 35.0, 45.0]), seen.max(axis=0) + np.array([50.0, 72.0, 40.0])
    x, y, z = (int(n) for n in (high - low) / (LABEL_MM, LABEL_MM, 1.0))
    return Grid.from_axes((z, y, x), (1.0, LABEL_MM, LABEL_MM), (float(low[0]), float(low[1]), float(high[2])))


def _phantom(job: tuple[int, str, Path]) -> Path:
    seed, anatomy, path = job
    if not path.exists():
        path.write_text(json.dumps(phantom_figures(seed, anatomy), indent=1))
    return path


def make_phantoms(count: int, seed: int, meshes: str | None, out: Path) -> None:
    """Measure phantoms, every third person of them from meshes where there are some."""
    jobs = []
    for k in range(count):
        anatomy = meshes if meshes and k // POSTURES % 3 == 2 else PROCEDURAL
        jobs.append((seed + k, anatomy, out / f"phantom-{Path(anatomy).name}-{seed + k}.json"))
    for job in jobs:
        print(_phantom(job), flush=True)


def real_heads(data: Path, masks: Path | None) -> Iterator[tuple[str, dict[str, float]]]:
    """Measure the real heads round places that were read off the scans, and bone within masks where there are some."""
    for name in HEADS:
        volume = _only_series(data / "real" / name)
        bone = bone_figures(volume, _outlined(volume, masks / MASKS[name]), LEVELS) if masks else {}
        centers = {v: np.array(place) for v, place in PLACES[name].items()}
        if len(centers) == 1:
            yield name, bone | nape_figures(volume, centers[LEVELS[0]])
            continue
        unlabeled = LabelMap(volume.grid, np.zeros(volume.grid.shape, dtype=np.uint8))
        figures = tissue_figures(volume, unlabeled, centers, LEVELS)
        yield name, figures | bone | core_figures(volume, centers, LEVELS)


def _outlined(volume: Volume, kept: Path) -> LabelMap:
    """Return the bone of the levels from masks of a network, which are a millimeter off."""
    given = LabelMap(volume.grid, np.load(kept)["labels"])
    labels = np.zeros(volume.grid.shape, dtype=np.uint8)
    for level in LEVELS:
        outline = outline_of(volume, given, level)
        labels[outline.box.slices][outline.own] = level
    return LabelMap(volume.grid, labels)


def real_necks(data: Path) -> Iterator[tuple[str, dict[str, float]]]:
    """Measure muscle, fat and cord in coarse real necks of the half that may be looked at; their cords are outlined."""
    root = data / "openkbp"
    for name in necks(root, even=True)[:KBP_NECKS]:
        volume = _only_series(root / "ct" / f"{name}.nii.gz")
        axis = axis_of(root / "masks" / f"{name}.nii.gz")
        middle = axis[np.abs(axis[:, 2] - np.quantile(axis[:, 2], 0.7)).argmin()]
        figures = nape_figures(volume, middle - np.array([0.0, 16.0, 0.0]))
        inside = np.rint(volume.grid.to_index(axis)).astype(int)
        inside = inside[((inside >= 0) & (inside < np.array(volume.grid.shape))).all(axis=1)]
        figures["canal 50 %"] = float(np.median(volume.hu[tuple(inside.T)]))
        yield f"kbp-{name}", figures


def _only_series(place: Path) -> Volume:
    source_path = next(iter(sorted(place.glob("*.nii*"))), place) if place.is_dir() else place
    with open_source(source_path) as source:
        return source.studies()[0].load().volume.canonical()


def people(data: Path) -> dict[str, tuple[float, float]]:
    """Return mean and standard deviation of the extents of people, by the name of the figure."""
    known: dict[str, tuple[float, float]] = {}
    with (data / MORPHOMETRY).open() as rows:
        for row in csv.DictReader(rows):
            if not row["source"].startswith("RSNA 2022 masks"):
                continue
            means = [float(v) for v in row["mean_mm"].split("/")]
            spreads = [float(v) for v in row["sd_mm"].split("/")]
            pairs = [f"C{k}-C{k + 1} middles" for k in range(1, 7)]
            names = {7: [f"C{k} extent" for k in range(1, 8)], 6: pairs, 1: ["C1-C7 length"]}[len(means)]
            known |= dict(zip(names, zip(means, spreads, strict=True), strict=True))
    for k in range(1, 7):
        # What two masks share follows from their lengths and the distance of their middles.
        both = (known[f"C{k} extent"][0] + known[f"C{k + 1} extent"][0]) / 2
        known[f"C{k}-C{k + 1} overlap"] = both - known[f"C{k}-C{k + 1} middles"][0], OVERLAP_SD_MM
    return known


def _gathered(out: Path, prefix: str) -> dict[str, np.ndarray]:
    files = [json.loads(path.read_text()) for path in sorted(out.glob(f"{prefix}*.json"))]
    names = list(dict.fromkeys(name for figures in files for name in figures))
    return {name: np.array([f[name] for f in files if name in f]) for name in names}


def table(data: Path, out: Path) -> str:
    """Return the comparison as Markdown: the difference in standard deviations of people, else of phantoms."""
    phantoms, known = _gathered(out, "phantom-"), people(data)
    heads = {name: json.loads((out / f"real-{name}.json").read_text()) for name in HEADS}
    coarse = _gathered(out, "real-kbp")
    lines = ["| figure | phantoms, mean ± SD (n) | people | difference in SD |", "| --- | --- | --- | --- |"]
    for name, values in phantoms.items():
        mean, spread = float(values.mean()), float(values.std(ddof=1))
        cell, reference = "", None
        if name in known:
            reference = known[name]
            cell = f"{reference[0]:.1f} ± {reference[1]:.1f} (RSNA 2022)"
        elif name in coarse:
            reference = float(coarse[name].mean()), float(coarse[name].std(ddof=1))
            cell = f"{reference[0]:.0f} ± {reference[1]:.0f} (Open-KBP, n = {coarse[name].size})"
        seen = [f"{heads[h][name]:.0f}" for h in HEADS if name in heads[h]]
        if seen and name not in known:
            cell = "; ".join(filter(None, [" / ".join(seen) + " (Visible Human / UNC)", cell]))
            reference = reference or (float(np.mean([heads[h][name] for h in HEADS if name in heads[h]])), spread)
        if reference is None:
            continue
        away = (mean - reference[0]) / reference[1]
        mark = " **" if abs(away) > 2 else ""
        lines.append(f"| {name} | {mean:.1f} ± {spread:.1f} ({values.size}) | {cell} | {away:+.1f}{mark} |")
    return "\n".join(lines)


def main() -> None:
    """Measure phantoms or real scans, or print the table of both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    made = commands.add_parser("phantoms")
    made.add_argument("--count", type=int, default=50)
    made.add_argument("--seed", type=int, default=900)
    made.add_argument("--meshes", help="a folder of meshes for every third person")
    for name in ("real", "table"):
        commands.add_parser(name).add_argument("data", type=Path)
    commands.choices["real"].add_argument("--masks", type=Path, help="masks of the heads, kept by tools.fingerprint")
    for command in commands.choices.values():
        command.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.command == "phantoms":
        make_phantoms(given.count, given.seed, given.meshes, given.out)
    elif given.command == "real":
        for name, figures in chain(real_heads(given.data, given.masks), real_necks(given.data)):
            (given.out / f"real-{name}.json").write_text(json.dumps(figures, indent=1))
    else:
        print(table(given.data, given.out))


if __name__ == "__main__":
    main()
