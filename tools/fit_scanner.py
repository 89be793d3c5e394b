"""Fit both kernel families to the real scans: noise power spectrum and edge between air and skin.

    python -m tools.fit_scanner DATA [--figure docs/images/scanner-fit.png]

For each scan and family the frequency of half transfer and the edge enhancement are found that come nearest to the
measured spectrum (its shape) and the measured rise of the edge, pixels included. Prints a table in Markdown.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from scipy.optimize import minimize

from cspine.domain import Box, Volume
from cspine.phantom.kernels import Kernel
from cspine.phantom.scanner_fit import EdgeSpread, NoisePower, edge_spread, noise_power_spectrum
from cspine.stores import open_source

RISE_TOLERANCE_MM = 0.15  # what counts as much as the whole height of the spectrum
FREQUENCY = np.linspace(0, 3, 301)[1:]
FAMILIES = ("A", "B")
COLORS = {"A": "#c44e52", "B": "#4c72b0"}


@dataclass(frozen=True)
class Scan:
    """A real scan, a region of one tissue, and a region with the edge between air in front and skin behind."""

    title: str
    path: str
    flat: Box
    edge: Box


SCANS = (
    Scan(
        "Visible Human, head",
        "real/visible-human-female-head/vhf_head_1mm_hu.nii.gz",
        Box((32, 208, 216), (44, 256, 264)),
        Box((60, 100, 215), (80, 200, 290)),
    ),
    Scan(
        "UNC CT head",
        "real/unc-cthead/cthead_1x1x2mm_hu_approx.nii.gz",
        Box((24, 112, 80), (28, 160, 128)),
        Box((20, 10, 100), (40, 100, 150)),
    ),
    Scan(
        "thorax, B31s, 4 mm",
        "real/onkodicom-thorax/dicom",
        Box((64, 228, 192), (66, 252, 216)),
        Box((60, 120, 200), (76, 220, 305)),
    ),
)


@dataclass(frozen=True, eq=False)
class Fit:
    """A kernel, and how far its spectrum (share of its height, root mean square) and edge are from the scan's."""

    kernel: Kernel
    spectrum_error: float
    rise_mm: float


@dataclass(frozen=True, eq=False)
class Measured:
    """What a scan shows."""

    scan: Scan
    pixel_mm: float
    noise: NoisePower
    edge: EdgeSpread


def measured(data: Path, scan: Scan) -> Measured:
    """Measure noise and edge of a scan."""
    with open_source(data / scan.path) as source:
        volume: Volume = source.studies()[0].load().volume.canonical()
    noise = noise_power_spectrum(volume, scan.flat)
    return Measured(scan, volume.grid.spacing_mm[1], noise, edge_spread(volume, scan.edge))


def edge_of(kernel: Kernel, pixel_mm: float, distance_mm: np.ndarray) -> np.ndarray:
    """Return the step response of a kernel and of square pixels at distances from an edge, 0 … 1."""
    gain = kernel.transfer(FREQUENCY) * np.sinc(FREQUENCY * pixel_mm)
    waves = np.sin(2 * np.pi * FREQUENCY[:, None] * distance_mm[None, :])
    return np.asarray(0.5 + (gain / FREQUENCY) @ waves * (FREQUENCY[1] - FREQUENCY[0]) / np.pi)


def rise_of(kernel: Kernel, pixel_mm: float) -> float:
    """Return the 10–90 % rise of the step response."""
    away = np.linspace(-3, 3, 121)
    step = np.maximum.accumulate(edge_of(kernel, pixel_mm, away))
    return float(np.interp(0.9, step, away) - np.interp(0.1, step, away))


def shape_of(kernel: Kernel, noise: NoisePower) -> np.ndarray:
    """Return the noise power of a kernel at the measured frequencies, scaled to the measured power."""
    model = kernel.noise_power(noise.frequency_per_mm)
    return np.asarray(model * noise.power.sum() / model.sum())


def fitted(seen: Measured, family: str) -> Fit:
    """Find the kernel of a family that comes nearest to a scan."""

    def of(parameters: np.ndarray) -> Fit:
        half, boost = np.clip(parameters, (0.15, 0.0), (1.2, 1.0))
        kernel = Kernel("FIT", float(half), float(boost), family)
        away = shape_of(kernel, seen.noise) - seen.noise.power
        return Fit(kernel, float(np.sqrt((away**2).mean()) / seen.noise.power.max()), rise_of(kernel, seen.pixel_mm))

    def cost(parameters: np.ndarray) -> float:
        fit = of(parameters)
        outside = np.abs(parameters - np.clip(parameters, (0.15, 0.0), (1.2, 1.0))).sum()
        edge = (fit.rise_mm - seen.edge.rise_mm) / RISE_TOLERANCE_MM
        return float(fit.spectrum_error**2 + (0.1 * edge) ** 2 + outside)

    starts = [np.array(s) for s in ((0.35, 0.2), (0.5, 0.5))]
    best = min((minimize(cost, s, method="Nelder-Mead", options={"maxiter": 60}) for s in starts), key=lambda r: r.fun)
    return of(best.x)


def row(seen: Measured, fits: dict[str, Fit]) -> str:
    """Return a line of the table."""
    cells = [
        seen.scan.title,
        f"{seen.pixel_mm:.2f} mm",
        f"{seen.noise.std_hu:.1f} HU",
        f"{seen.noise.mean_frequency_per_mm:.3f}",
        f"{seen.edge.rise_mm:.2f} mm",
    ]
    for fit in fits.values():
        shape = shape_of(fit.kernel, seen.noise)
        mean = float((seen.noise.frequency_per_mm * shape).sum() / shape.sum())
        kernel = fit.kernel
        cells.append(f"{kernel.half_per_mm:.2f}, {kernel.boost:.2f}: {mean:.3f}, {fit.rise_mm:.2f} mm")
        cells.append(f"{100 * fit.spectrum_error:.0f} %")
    return f"| {' | '.join(cells)} |"


def draw(results: Sequence[tuple[Measured, dict[str, Fit]]], path: Path) -> None:
    """Draw spectra above and edges below, measured and fitted."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the choice of what draws

    figure, axes = plt.subplots(2, len(results), figsize=(3.6 * len(results), 5.6), layout="constrained")
    for column, (seen, fits) in enumerate(results):
        top, bottom = axes[0, column], axes[1, column]
        scale = seen.noise.power.max()
        top.plot(seen.noise.frequency_per_mm, seen.noise.power / scale, "ko", ms=4, label="scan")
        near = np.abs(seen.edge.distance_mm) < 3
        inside = (seen.edge.distance_mm > 0.8) & (seen.edge.distance_mm < 1.8)
        air, skin = np.median(seen.edge.hu[seen.edge.distance_mm < -3]), np.median(seen.edge.hu[inside])
        bottom.plot(seen.edge.distance_mm[near], (seen.edge.hu[near] - air) / (skin - air), "ko", ms=2, label="scan")
        away = np.linspace(-3, 3, 241)
        for family, fit in fits.items():
            label = f"family {family}, half transfer {fit.kernel.half_per_mm:.2f}/mm"
            top.plot(
                seen.noise.frequency_per_mm, shape_of(fit.kernel, seen.noise) / scale, c=COLORS[family], label=label
            )
            bottom.plot(away, edge_of(fit.kernel, seen.pixel_mm, away), c=COLORS[family])
        top.set(title=seen.scan.title, xlabel="frequency, 1/mm", ylim=(0, 1.25))
        bottom.set(xlabel="distance from the skin, mm", ylim=(-0.1, 1.2))
        top.legend(fontsize=7, frameon=False)
    axes[0, 0].set_ylabel("noise power, share of the largest")
    axes[1, 0].set_ylabel("share of the step from air")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)


def main() -> None:
    """Print the table, and draw the figure where one is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--figure", type=Path)
    given = parser.parse_args()
    head = "| scan | pixel | noise | mean frequency, 1/mm | rise | family A: half, boost: frequency, rise | off |"
    print(head + " family B | off |")
    print("| --- " * 9 + "|")
    results = []
    for scan in SCANS:
        seen = measured(given.data, scan)
        fits = {family: fitted(seen, family) for family in FAMILIES}
        results.append((seen, fits))
        print(row(seen, fits), flush=True)
    if given.figure:
        draw(results, given.figure)


if __name__ == "__main__":
    main()
