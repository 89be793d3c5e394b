"""How often is a vertebra's name right, by the confidence that the bundle gives it? Is the warning rightly placed?

    python -m tools.name_confidence SET --out names.csv [--bundle DIR]

SET is a folder of `cspine phantom make --layout rsna` whose persons did not train. Of every vertebra that the bundle
names and sees at least half of: its confidence, the share of its outline that the segmentation names alike, and whether
the nearest true center bears the same name. Prints Markdown: bins of confidence, and what other limits of the warning
would flag and let through.
"""

import argparse
import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from cspine.domain import InputError
from cspine.evaluation import wilson
from cspine.models import default_bundle_path, load_bundle
from cspine.pipeline import Analyzer
from cspine.stores import open_source

SEEN = 0.5
BINS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
LIMITS = ((0.4, 0.3), (0.5, 0.2), (0.5, 0.3), (0.6, 0.3), (0.7, 0.3))


@dataclass(frozen=True)
class Name:
    """One vertebra that was named.

    Attributes
    ----------
    right
        Whether the nearest true center has that name.
    """

    study: str
    vertebra: str
    confidence: float
    support: float
    seen: float
    right: bool


def names_of(root: Path, analyzer: Analyzer) -> Iterator[Name]:
    """Yield every vertebra that is named in the studies of a set; a refused study is said and left out."""
    for path in sorted((root / "truth").glob("*.json")):
        true = json.loads(path.read_text(encoding="utf-8"))["vertebrae"]
        centers = np.array([v["center_lps_mm"] for v in true])
        with open_source(root / "train_images" / path.stem) as source:
            loaded = source.studies()[0].load()
        try:
            located = analyzer.locate(loaded.volume)
        except InputError as error:
            print(f"{path.stem}: {error}")
            continue
        for found in located.refined:
            name = found.vertebra.name
            if found.vertebra.is_cervical:
                nearest = true[int(np.linalg.norm(centers - found.center_lps_mm, axis=1).argmin())]["vertebra"]
                support = located.support[found.vertebra]
                yield Name(path.stem, name, found.confidence, support, found.visible_fraction, nearest == name)


def bins(names: Sequence[Name]) -> Iterator[str]:
    """Yield the rows of the table by confidence."""
    for low, high in pairwise(BINS):
        held = [n.right for n in names if n.seen >= SEEN and low <= n.confidence < high + (high == 1.0)]
        yield f"| {low:.1f}–{high:.1f} | {len(held)} | {wilson(sum(held), len(held)) if held else '–'} |"


def limits(names: Sequence[Name]) -> Iterator[str]:
    """Yield the rows of the table by limits of the warning."""
    studies = {n.study for n in names}
    wrong = {n.study for n in names if not n.right and n.seen > 0}
    for confidence, support in LIMITS:
        flagged = {n.study for n in names if n.confidence < confidence or n.support < support}
        shares = wilson(len(flagged), len(studies)), wilson(len(wrong - flagged), len(studies))
        yield f"| {confidence:g} | {support:g} | {shares[0]} | {shares[1]} |"


def main() -> None:
    """Name, compare, write the table, print two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, default=default_bundle_path())
    given = parser.parse_args()
    names = list(names_of(given.root, Analyzer(load_bundle(given.bundle), threads=1)))
    with given.out.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(Name.__dataclass_fields__)
        rows.writerows([n.study, n.vertebra, n.confidence, n.support, n.seen, int(n.right)] for n in names)
    print("\n| confidence | vertebrae | named right |\n|---|---|---|", *bins(names), sep="\n")
    print("\n| confidence below | agreement below | studies flagged | wrong and not flagged |\n|---|---|---|---|")
    print(*limits(names), sep="\n")


if __name__ == "__main__":
    main()
