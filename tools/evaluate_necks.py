"""Check vertebra names and false alarms on the real necks of Open-KBP that no training saw (odd patient numbers).

There is no vertebra truth for these scans: order, spacing and place in front of the cord are checked
(`cspine.evaluation.check_neck`). No fracture is reported of any, so a rule-in is a false alarm. Cite Babier et al.,
Med Phys 2021, for the data.

::

    python tools/evaluate_necks.py FOLDER --out DIR [--bundle DIR] [--even]
"""

import argparse
import csv
from collections import Counter
from pathlib import Path

import nibabel
import numpy as np
from nibabel.affines import apply_affine

from cspine.dicom import LoadedSeries
from cspine.domain import Analysis, Decision, FlagCode, InputError, Vertebra
from cspine.evaluation import NeckCheck, check_neck, cord_axis, wilson
from cspine.models import default_bundle_path, load_bundle
from cspine.pipeline import Analyzer
from cspine.report import draw_pictures
from cspine.stores import open_source

FULL_BODY_MM = 200.0
CORD = 1
RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])


def necks(root: Path, *, even: bool) -> list[str]:
    """Return the names of the scans that show a whole neck, of odd (default) or even patient numbers."""
    with (root / "index.csv").open() as rows:
        full = [row["pid"] for row in csv.DictReader(rows) if float(row["full_body_mm"]) >= FULL_BODY_MM]
    return sorted((p for p in full if (int(p.split("_")[1]) % 2 == 0) == even), key=lambda p: int(p.split("_")[1]))


def axis_of(mask: Path) -> np.ndarray:
    """Return the axis of the cord mask in LPS mm."""
    image = nibabel.load(mask)
    voxels = np.argwhere(np.asanyarray(image.dataobj) == CORD)
    return cord_axis(apply_affine(image.affine, voxels) * RAS_TO_LPS)


def check(root: Path, name: str, analyzer: Analyzer) -> tuple[NeckCheck | str, LoadedSeries, Analysis | None]:
    """Analyze one scan and check it; a refusal is returned as its sentence."""
    with open_source(root / "ct" / f"{name}.nii.gz") as source:
        loaded = source.studies()[0].load()
    try:
        analysis = analyzer.analyze(loaded.volume)
    except InputError as error:
        return str(error), loaded, None
    found = analysis.findings.vertebrae
    centers: dict[Vertebra, tuple[float, float, float]] = {
        f.vertebra: f.center_lps_mm for f in found if f.center_lps_mm
    }
    return check_neck(centers, axis_of(root / "masks" / f"{name}.nii.gz")), loaded, analysis


def main() -> None:
    """Parse, check every neck, print and write the table; draw those that fail."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, default=default_bundle_path())
    parser.add_argument("--even", action="store_true", help="the adaptation half, for comparison")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    bundle = load_bundle(given.bundle)
    analyzer = Analyzer(bundle)
    names = necks(given.root, even=given.even)
    passed, unsure = 0, 0
    decisions: Counter[str] = Counter()
    with (given.out / "necks.csv").open("w") as table:
        table.write("patient,passes,level_uncertain,problems\n")
        for name in names:
            found, loaded, analysis = check(given.root, name, analyzer)
            problems = (found,) if isinstance(found, str) else found.problems
            flags = () if analysis is None else analysis.findings.flags
            flagged = any(f.code is FlagCode.LEVEL_UNCERTAIN for f in flags)
            if analysis is not None:
                decisions.update(f.decision.value for f in analysis.findings.vertebrae)
                alarms = [f.vertebra.name for f in analysis.findings.vertebrae if f.decision is Decision.RULE_IN]
                if alarms:
                    print(f"{name}: rule-in of {', '.join(alarms)}", flush=True)
            passed += not problems
            unsure += flagged
            table.write(f"{name},{int(not problems)},{int(flagged)},{'; '.join(problems)!r}\n")
            if problems:
                print(f"{name}: {'; '.join(problems)}", flush=True)
                if analysis is not None:
                    (given.out / f"{name}.png").write_bytes(draw_pictures(analysis, loaded).sagittal.png)
    print(f"real necks (Open-KBP, {'even' if given.even else 'odd'}), bundle {bundle.short_id}")
    if analyzer.assesses_fractures:
        judged = decisions.total() - decisions[Decision.NOT_ASSESSED.value]
        print(f"vertebrae called rule-in {wilson(decisions[Decision.RULE_IN.value], judged)}, all {dict(decisions)}")
    print(f"pass {wilson(passed, len(names))}, flagged as level uncertain {wilson(unsure, len(names))}")


if __name__ == "__main__":
    main()
