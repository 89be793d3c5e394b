"""Draw phantoms beside real scans: three planes through one point, bone and soft-tissue windows.

python tools/phantom_montage.py --real SCAN.nii.gz@x,y,z --phantom procedural:3 --phantom MESHES:5 --out montage.png
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image, ImageDraw

from cspine.domain import Grid, Vertebra, Volume, resample
from cspine.phantom import Field, make_case, sample_spec

WINDOWS = {"bone": (2000.0, 400.0), "soft": (400.0, 40.0)}
HALF_MM = 72.0
PIXEL_MM = 0.5
TITLE_PX = 16
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Panel:
    """One row of the montage: a volume, the point that its three planes meet in, and its name."""

    volume: Volume
    point_lps_mm: tuple[float, float, float]
    title: str


def read_nifti(path: Path) -> Volume:
    image = nibabel.load(path)
    array = np.ascontiguousarray(np.asarray(image.dataobj).T)
    affine = RAS_TO_LPS @ image.affine
    affine = affine[:, [2, 1, 0, 3]]
    return Volume(Grid((array.shape[0], array.shape[1], array.shape[2]), affine), array.astype(np.int16)).canonical()


def phantom_panel(anatomy: str, seed: int, small: bool) -> Panel:
    spec = sample_spec(np.random.default_rng(seed), anatomy=anatomy, field=Field.WHOLE)
    coverage = replace(spec.coverage, top_mm=75.0)
    if small:
        spec = replace(spec, scanner=replace(spec.scanner, matrix=(256, 256)))
    case = make_case(replace(spec, coverage=coverage))
    center = next(v.center_lps_mm for v in case.truth.vertebrae if v.vertebra is Vertebra.C4)
    return Panel(case.volume, center, f"phantom {Path(anatomy).name} {seed}")


def planes(panel: Panel) -> list[np.ndarray]:
    """Return sagittal, coronal and axial HU pictures of the same size and scale."""
    n = int(2 * HALF_MM / PIXEL_MM)
    volume = panel.volume
    pictures = []
    for flat in (2, 1, 0):
        shape, spacing = [n, n, n], [PIXEL_MM] * 3
        shape[flat] = 1
        x, y, z = panel.point_lps_mm
        half = (n - 1) / 2 * PIXEL_MM
        origin = [x - half, y - half, z + half]
        origin[2 - flat] = (x, y, z)[2 - flat]
        target = Grid.from_axes(
            (shape[0], shape[1], shape[2]), (spacing[0], spacing[1], spacing[2]), (origin[0], origin[1], origin[2])
        )
        pictures.append(resample(volume.hu, volume.grid, target, fill=-1024.0).squeeze(axis=flat))
    return pictures


def windowed(hu: np.ndarray, width: float, level: float) -> np.ndarray:
    return np.clip((hu - level + width / 2) / width * 255, 0, 255).astype(np.uint8)


def montage(panels: Sequence[Panel], path: Path) -> None:
    rows = []
    for panel in panels:
        pictures = planes(panel)
        row = Image.fromarray(np.hstack([windowed(p, *w) for w in WINDOWS.values() for p in pictures]))
        framed = Image.new("L", (row.width, row.height + TITLE_PX), 0)
        framed.paste(row, (0, TITLE_PX))
        ImageDraw.Draw(framed).text((4, 2), panel.title, fill=255)
        rows.append(np.asarray(framed))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.vstack(rows)).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", action="append", default=[], metavar="NIFTI@X,Y,Z", help="LPS mm of the shown point")
    parser.add_argument("--phantom", action="append", default=[], metavar="ANATOMY:SEED")
    parser.add_argument("--small", action="store_true", help="256×256 pixels: faster, for a quick look")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    panels = []
    for item in args.real:
        name, _, at = item.rpartition("@")
        x, y, z = (float(v) for v in at.split(","))
        panels.append(Panel(read_nifti(Path(name)), (x, y, z), f"real {Path(name).parent.name}"))
    for item in args.phantom:
        anatomy, _, seed = item.rpartition(":")
        panels.append(phantom_panel(anatomy, int(seed), args.small))
    montage(panels, args.out)


if __name__ == "__main__":
    main()
