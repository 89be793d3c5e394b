"""Measure how much fractures of severity 1 … 5 show over the noise of the scan: in a voxel, and as a whole.

In a voxel: the mean change within the mask. As a whole: the root of the summed squares of all changes, what a reader
who knows the place could reach if the noise of voxels were independent.

python tools/fracture_ladder.py --seeds 2 --noise 35 --noise 70

Bones alone, painted at 0.5 mm, blurred and sampled by the scanner of the phantom (bone kernel, 0.8 mm slices of 1 mm,
0.35 mm pixels); prints a table.
"""

import argparse
from dataclasses import replace

import numpy as np

from cspine.domain import Grid, Vertebra, Volume
from cspine.phantom import Fracture, FractureType, Scanner
from cspine.phantom.bones import procedural_vertebrae, sample_vertebra_sizes
from cspine.phantom.density import BoneDensity, material_of
from cspine.phantom.fractures import place_fractures, plan_fractures
from cspine.phantom.fractures.truth import fracture_mask
from cspine.phantom.render import paint_bones_inplace
from cspine.phantom.scanner import scan
from cspine.phantom.skeleton import Bone, PlacedBone, Skeleton
from cspine.phantom.subject import Subject
from cspine.phantom.warp import no_warp

FINE_MM, FIELD_MM = 0.5, 60.0
SOFT_HU = 50.0
WHERE = {
    FractureType.DENS_II: Vertebra.C2,
    FractureType.LAMINA: Vertebra.C5,
    FractureType.PEDICLE: Vertebra.C5,
    FractureType.SPINOUS_PROCESS: Vertebra.C7,
}


def scanned(subject: Subject) -> Volume:
    """Return a scan of a person of one bone, without noise."""
    low, high = subject.skeleton.bones[0].bone.bounds_mm
    x, y, _ = (low + high) / 2
    n = int(FIELD_MM / FINE_MM)
    slices = int((high[2] - low[2] + 12) / FINE_MM)
    start = (float(x) - FIELD_MM / 2, float(y) - FIELD_MM / 2, float(high[2]) + 6)
    fine = Grid.from_axes((slices, n, n), (FINE_MM,) * 3, start)
    scanner = Scanner(
        field_of_view_mm=FIELD_MM, matrix=(172, 172), spacing_mm=0.8, thickness_mm=1.0, noise_hu=0.0, hardening=0.0
    )
    hu = np.full(fine.shape, SOFT_HU, dtype=np.float32)
    paint_bones_inplace(hu, subject, fine, subject.rng(), 1)
    return scan(hu, fine, scanner, np.random.default_rng(0))


def whole(level: Vertebra, bone: Bone) -> Subject:
    """Return a person of one bone."""
    placed = PlacedBone(bone, np.eye(4), *material_of(bone, BoneDensity()))
    return Subject(Skeleton((placed,), {level: np.eye(4)}, 1.0), None, no_warp(), 7)


def contrast(subject: Subject, before: Volume, fracture: Fracture) -> tuple[float, float]:
    """Return the mean absolute change in HU within the mask and the root of all squares, in a scan without noise."""
    bone = subject.skeleton.bones[0].bone
    broken = place_fractures(subject.skeleton, plan_fractures({bone.name: bone}, (fracture,)))
    after = scanned(replace(subject, fractures=broken))
    mask = fracture_mask(broken[0].broken, after.grid, no_warp())
    change = np.abs(after.hu.astype(np.float32) - before.hu.astype(np.float32))
    return float(change[mask].mean()), float(np.sqrt((change.astype(np.float64) ** 2).sum()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--noise", type=float, action="append", help="standard deviation in HU")
    args = parser.parse_args()
    rng = np.random.default_rng(5)
    bones = procedural_vertebrae(sample_vertebra_sizes(rng, female=False, scale=1.0), rng)
    people = {level: whole(level, bones[level]) for level in WHERE.values()}
    noises = args.noise or [35.0]
    before = {level: scanned(person) for level, person in people.items()}
    for family in ("A", "B"):
        for severity in (1, 2, 3, 4, 5):
            found = []
            for kind, level in WHERE.items():
                for seed in range(args.seeds):
                    found.append(contrast(people[level], before[level], Fracture(kind, level, severity, family, seed)))
            (mean, total), (spread, _) = np.mean(found, axis=0), np.std(found, axis=0, ddof=1)
            ratios = "  ".join(
                f"at {noise:g} HU: {mean / noise:.1f} a voxel, {total / noise:.0f} as a whole" for noise in noises
            )
            print(f"{family} {severity}: {mean:5.0f} ± {spread:3.0f} HU (n = {len(found)})  {ratios}", flush=True)


if __name__ == "__main__":
    main()
