"""What noise, slice distance and coverage do to a bundle: the same few phantom persons in a grid of scans.

python -m tools.robustness --persons 4 --noise 15,40,80 --spacing 0.8,1.5,3 --coverage whole,no-t1

Each person is rendered anew for each cell, bones and fractures the same; 3 × 3 × 2 cells of four persons take about
half an hour of one core. A row: AUC of vertebrae (by probability), broken ones called rule-in, whole ones called
rule-in, and how many get no answer (uncertain, not assessed), each with n. Levels that the scan does not show whole are
left out of the counts; those of a refused scan count as not assessed. All figures are phantom figures, and of few
persons: they show where a limit lies, not how often patients meet it.
"""

import argparse
import csv
import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cspine.domain import CERVICAL, Decision, Findings, OutOfScope, Vertebra
from cspine.evaluation import roc_auc
from cspine.models import default_bundle_path, load_bundle
from cspine.phantom import (
    Case,
    Field,
    FractureMix,
    PhantomSpec,
    make_case,
    sample_coverage,
    sample_fractures,
    sample_spec,
)
from cspine.pipeline import Analyzer

FAMILY = "B"
PIXEL_MM = 0.5
# A level counts when this much of it lies in the scan.
SEEN = 0.97
COLUMNS = (
    *("noise_hu", "spacing_mm", "coverage", "persons", "refused", "vertebrae", "broken", "AUC"),
    *("broken rule-in", "whole rule-in", "uncertain", "not assessed"),
)


@dataclass(frozen=True)
class Cell:
    """One setting of the scanner."""

    noise_hu: float
    spacing_mm: float
    coverage: Field

    def spec(self, person: int, seed: int) -> PhantomSpec:
        """Return the scan of a person: the same bones in every cell, and the same fractures as far as it shows them."""
        rng = np.random.default_rng([seed, person])
        plain = sample_spec(rng, family=FAMILY, field=Field.WHOLE)
        mix = FractureMix(study=0.5)
        broken = sample_fractures(rng, family=FAMILY, mix=mix, bottom=Vertebra.C7)
        wide = min(plain.scanner.field_of_view_mm, 170.0)
        scanner = replace(
            plain.scanner,
            field_of_view_mm=wide,
            matrix=(round(wide / PIXEL_MM),) * 2,
            spacing_mm=self.spacing_mm,
            thickness_mm=max(1.0, self.spacing_mm),
            noise_hu=self.noise_hu,
        )
        field = sample_coverage(np.random.default_rng([seed, person, 1]), self.coverage)
        shown = tuple(f for f in broken if field.top <= f.vertebra <= field.bottom)
        return replace(plain, scanner=scanner, fractures=shown, coverage=field)


@dataclass(frozen=True)
class Row:
    """What became of one vertebra; a refused scan's have ``None``."""

    broken: bool
    probability: float | None
    decision: Decision


def grid(noise: Sequence[float], spacing: Sequence[float], coverage: Sequence[Field]) -> Iterator[Cell]:
    """Yield all combinations."""
    for one in itertools.product(noise, spacing, coverage):
        yield Cell(*one)


def judged(case: Case, findings: Findings | None) -> list[Row]:
    """Return a row for each cervical vertebra that the scan shows whole."""
    shown = {v.vertebra for v in case.truth.vertebrae if v.visible_fraction >= SEEN}
    rows = []
    for vertebra in (v for v in CERVICAL if v in shown):
        broken = vertebra in case.truth.fractured
        if findings is None:
            rows.append(Row(broken, None, Decision.NOT_ASSESSED))
        else:
            said = findings.of(vertebra)
            rows.append(Row(broken, said.probability, said.decision))
    return rows


def summary(rows: Iterable[Row]) -> dict[str, str]:
    """Return counts and AUC of a cell as words: ``k/n`` each."""
    rows = list(rows)
    broken, whole = ([r for r in rows if r.broken is side] for side in (True, False))
    known = [r for r in rows if r.probability is not None]
    truth = np.array([r.broken for r in known], dtype=float)
    area = "–"
    if 0 < truth.sum() < len(truth):
        area = f"{roc_auc(truth, np.array([r.probability for r in known], dtype=float)):.3f} (n = {len(known)})"
    return {
        "vertebrae": str(len(rows)),
        "broken": str(len(broken)),
        "AUC": area,
        "broken rule-in": _share(broken, Decision.RULE_IN),
        "whole rule-in": _share(whole, Decision.RULE_IN),
        "uncertain": _share(rows, Decision.UNCERTAIN),
        "not assessed": _share(rows, Decision.NOT_ASSESSED),
    }


def _share(rows: Sequence[Row], decision: Decision) -> str:
    return f"{sum(r.decision is decision for r in rows)}/{len(rows)}"


def run_cell(cell: Cell, persons: int, seed: int, analyzer: Analyzer) -> dict[str, str]:
    """Return the line of one cell."""
    rows: list[Row] = []
    refused = 0
    for person in range(persons):
        case = make_case(cell.spec(person, seed), 1)
        try:
            findings = analyzer.analyze(case.volume).findings
        except OutOfScope:
            findings, refused = None, refused + 1
        rows += judged(case, findings)
    head = {"noise_hu": f"{cell.noise_hu:g}", "spacing_mm": f"{cell.spacing_mm:g}", "coverage": cell.coverage.value}
    return head | {"persons": str(persons), "refused": str(refused)} | summary(rows)


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def main(arguments: list[str] | None = None) -> None:
    """Print the table, a row as soon as it is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, nargs="?", default=default_bundle_path())
    parser.add_argument("--persons", type=int, default=4)
    parser.add_argument("--seed", type=int, default=911)
    parser.add_argument("--noise", type=_numbers, default=[15.0, 40.0, 80.0], help="HU at an average neck")
    parser.add_argument("--spacing", type=_numbers, default=[0.8, 1.5, 3.0], help="mm between slices")
    parser.add_argument(
        "--coverage", type=lambda t: [Field(p) for p in t.split(",")], default=[Field.WHOLE, Field.NO_T1]
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--csv", type=Path, help="also write the table here")
    options = parser.parse_args(arguments)
    bundle = load_bundle(options.bundle)
    analyzer = Analyzer(bundle, threads=options.threads)
    print(f"PHANTOM persons, family {FAMILY}, seed {options.seed}, bundle {bundle.short_id}")
    print(" | ".join(COLUMNS))
    lines = []
    for cell in grid(options.noise, options.spacing, options.coverage):
        lines.append(run_cell(cell, options.persons, options.seed, analyzer))
        print(" | ".join(lines[-1][name] for name in COLUMNS))
        sys.stdout.flush()
        if options.csv is not None:
            with options.csv.open("w", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS)
                writer.writeheader()
                writer.writerows(lines)


if __name__ == "__main__":
    main()
