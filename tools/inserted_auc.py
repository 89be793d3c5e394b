"""How well a bundle parts vertebrae of real CT with a fracture cut into them from the same vertebrae as they are.

    python -m tools.inserted_auc SCAN [SCAN …] [--bundle DIR] [--each 20] [--seed 1] [--csv FILE]

SCAN is whatever `cspine detect` reads, a real CT without a fracture that the bundle has not trained on. Its vertebrae
are found and outlined by the bundle once. Into each that is seen whole, fractures are cut one at a time
(`cspine.phantom.insert_fracture`, family B, fresh), and the fracture network judges it again, with the outlines of the
unbroken scan. Printed by severity: the AUC of broken vertebrae against all unbroken ones of all scans, intervals (95 %)
redraw vertebrae; and how many score above the same vertebra unbroken. Bone and noise are real, the fractures are
**phantom fractures**: what this measures is whether a score learned on phantoms carries over to real bone.
"""

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cspine.domain import ConfigError, LabelMap, Volume
from cspine.evaluation import Estimate, figures_by_study, wilson
from cspine.models import default_bundle_path, load_bundle
from cspine.phantom import FractureAge, insert_fracture, look_of, prepare_site, sample_fracture
from cspine.pipeline import Analyzer, paint_labels
from cspine.pipeline.analyze import Located
from cspine.stores import open_source
from tools.severities import GROUPS

TRIES = 4
COLUMNS = ("severity", "broken", "whole", "AUC", "above the same unbroken")


@dataclass(frozen=True)
class Score:
    """What the network says of one vertebra; severity 0 is the vertebra as it is."""

    scan: str
    vertebra: str
    severity: int
    type: str
    logit: float

    @property
    def bone(self) -> str:
        """Name of the vertebra among all scans."""
        return f"{self.scan} {self.vertebra}"


def scores_of(name: str, volume: Volume, analyzer: Analyzer, each: int, seed: int) -> Iterator[Score]:
    """Yield the score of every whole vertebra of a scan, and of `each` fractures cut into it, one at a time."""
    located = analyzer.locate(volume)
    upright = located.volume
    labels = paint_labels(located.refined, upright.grid, analyzer.threads)
    look = look_of(upright, labels)
    for found in located.refined:
        level = found.vertebra
        if not level.is_cervical or found.visible_fraction < analyzer.spec.refine.whole_fraction:
            continue
        one = replace(located, refined=[found])
        try:
            site = prepare_site(upright, labels, level, look)
        except ConfigError as error:
            print(f"{name}: {error}", flush=True)
            continue
        yield Score(name, level.name, 0, "", _logit(one, upright, labels, analyzer))
        rng = np.random.default_rng([seed, int(level)])
        for _ in range(each):
            for _ in range(TRIES):
                fracture = sample_fracture(rng, level, family="B", age=FractureAge.ACUTE)
                try:
                    broken = insert_fracture(upright, labels, fracture, rng, site=site).volume
                except ConfigError:  # one that needs the rest of the spine to move
                    continue
                logit = _logit(one, broken, labels, analyzer)
                yield Score(name, level.name, fracture.severity, fracture.type.value, logit)
                break


def _logit(located: Located, volume: Volume, labels: LabelMap, analyzer: Analyzer) -> float:
    (judged,) = analyzer.judge(replace(located, volume=volume), labels)
    return judged.logit


def table(scores: Sequence[Score]) -> Iterator[tuple[str | int | Estimate, ...]]:
    """Yield a row for each group of severities that there is a fracture of; columns as `COLUMNS`."""
    whole = {score.bone: score.logit for score in scores if not score.severity}
    for name, severities in GROUPS.items():
        broken = [score for score in scores if score.severity in severities]
        if not broken:
            continue
        truth = np.r_[np.ones(len(broken)), np.zeros(len(whole))]
        logits = np.r_[[score.logit for score in broken], list(whole.values())]
        bones = [*(score.bone for score in broken), *whole]
        auc = figures_by_study(truth, logits, bones, np.random.default_rng(0))["auc"]
        above = sum(score.logit > whole[score.bone] for score in broken)
        yield name, len(broken), len(whole), auc, wilson(above, len(broken))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scans", metavar="SCAN", type=Path, nargs="+")
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--each", type=int, default=20, help="fractures cut into every vertebra")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--csv", type=Path, help="also write every score here")
    options = parser.parse_args(arguments)
    bundle = load_bundle(options.bundle or default_bundle_path())
    analyzer = Analyzer(bundle, threads=options.threads)
    scores: list[Score] = []
    for path in options.scans:
        with open_source(path) as source:
            volume = source.studies()[0].load().volume
        scores += scores_of(path.name, volume, analyzer, options.each, options.seed)
    print(f"PHANTOM fractures in real CT, bundle {bundle.short_id}\n")
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for row in table(scores):
        print(f"| {' | '.join(str(cell) for cell in row)} |")
    for score in scores:
        if not score.severity:
            print(f"{score.bone}: {score.logit:.2f}")
    if options.csv is not None:
        with options.csv.open("w", newline="") as file:
            out = csv.writer(file)
            out.writerow(Score.__dataclass_fields__)
            out.writerows([s.scan, s.vertebra, s.severity, s.type, s.logit] for s in scores)


if __name__ == "__main__":
    main()
