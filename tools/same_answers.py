"""Does the same scan get the same answer: in 48 orientations, twice, from both engines, and in bf16?

    python -m tools.same_answers SCAN [SCAN …] [--bundle DIR] [--orientations 48] [--threads 2]

SCAN is whatever `cspine detect` reads. A row: scan, what was changed, analyses compared, largest difference of a
vertebra's probability and of the study's, largest distance between centers in millimeters, decisions and reasons that
differ, voxels that are labeled otherwise. The first analysis, by OpenVINO in f32 as the scan lies, is what all are
compared with. Ends with 1 where a difference is larger than issue and documentation allow: .01 of a probability
between engines, none otherwise. In bf16, which only some processors have, differences are told and never fail.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cspine.domain import AXIS_ORDERS, Analysis, AxisOrder, Volume
from cspine.models import ModelBundle, default_bundle_path, load_bundle, processor_has_bf16
from cspine.pipeline import Analyzer
from cspine.stores import open_source

ENGINE_LIMIT, CENTER_LIMIT_MM = 0.01, 1e-3
COLUMNS = ("scan", "changed", "analyses", "Δp vertebra", "Δp study", "Δ center mm", "decisions", "voxels")


@dataclass(frozen=True)
class Apart:
    """How far two analyses of a scan differ."""

    vertebra: float
    study: float
    center_mm: float
    decisions: int
    voxels: int

    def worst(self, other: "Apart") -> "Apart":
        """Return the larger of each figure."""
        return Apart(
            max(self.vertebra, other.vertebra),
            max(self.study, other.study),
            max(self.center_mm, other.center_mm),
            max(self.decisions, other.decisions),
            max(self.voxels, other.voxels),
        )

    def within(self, probability: float, center_mm: float) -> bool:
        """Tell whether probabilities and centers differ by no more than that, and decisions not at all."""
        return max(self.vertebra, self.study) <= probability and self.center_mm <= center_mm and self.decisions == 0


def apart(a: Analysis, b: Analysis, axes: AxisOrder | None = None) -> Apart:
    """Compare an analysis with one of the same scan, whose volume has been turned by `axes`."""
    pairs = list(zip(a.findings.vertebrae, b.findings.vertebrae, strict=True))
    centers = [
        float(np.linalg.norm(np.subtract(x.center_lps_mm, y.center_lps_mm)))
        if x.center_lps_mm is not None and y.center_lps_mm is not None
        else 0.0
        if x.center_lps_mm == y.center_lps_mm
        else float("inf")
        for x, y in pairs
    ]
    turned = a.labels.labels if axes is None else axes.apply(a.labels.labels)
    return Apart(
        max(_between(x.probability, y.probability) for x, y in pairs),
        _between(a.findings.probability, b.findings.probability),
        max(centers),
        sum((x.decision, x.reason) != (y.decision, y.reason) for x, y in pairs)
        + int(a.findings.decision != b.findings.decision),
        int(np.count_nonzero(turned != b.labels.labels)),
    )


def _between(a: float | None, b: float | None) -> float:
    if a is None or b is None:
        return 0.0 if a is b else 1.0
    return abs(a - b)


def compared(
    volume: Volume, bundle: ModelBundle, orientations: int, threads: int
) -> Iterator[tuple[str, int, Apart, bool]]:
    """Yield what was changed, the number of analyses, how far they differ at most, and whether that is allowed."""
    analyzer = Analyzer(bundle, threads=threads, precision="f32")
    first = analyzer.analyze(volume)
    again = apart(first, analyzer.analyze(volume))
    yield "nothing", 1, again, again == Apart(0.0, 0.0, 0.0, 0, 0)
    other = apart(first, Analyzer(bundle, engine="onnxruntime", threads=threads).analyze(volume))
    yield "ONNX Runtime", 1, other, other.within(ENGINE_LIMIT, 1.0)
    if processor_has_bf16():
        yield "bf16", 1, apart(first, Analyzer(bundle, threads=threads, precision="bf16").analyze(volume)), True
    worst = Apart(0.0, 0.0, 0.0, 0, 0)
    chosen = AXIS_ORDERS[:orientations]
    for axes in chosen:
        turned = Volume(volume.grid.reordered(axes), axes.apply(volume.hu))
        worst = worst.worst(apart(first, analyzer.analyze(turned), axes))
    yield "orientation", len(chosen), worst, worst.within(0.0, CENTER_LIMIT_MM) and worst.voxels == 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scans", metavar="SCAN", type=Path, nargs="+")
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--orientations", type=int, default=len(AXIS_ORDERS))
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    bundle = load_bundle(options.bundle or default_bundle_path())
    if not processor_has_bf16():
        print("this processor computes in f32 only: bf16 is not compared")
    print(f"bundle {bundle.short_id}\n\n| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    right = True
    for path in options.scans:
        with open_source(path) as source:
            volume = source.studies()[0].load().volume
        for changed, count, far, fine in compared(volume, bundle, options.orientations, options.threads):
            right &= fine
            figures = f"{far.vertebra:.2g} | {far.study:.2g} | {far.center_mm:.2g} | {far.decisions} | {far.voxels}"
            print(f"| {path.name} | {changed} | {count} | {figures} |", flush=True)
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()
