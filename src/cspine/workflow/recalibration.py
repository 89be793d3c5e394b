"""A bundle calibrated again on a site's own studies: same networks, other numbers.

What a bundle knows of scores, error levels and prevalence holds for its tuning set. A hospital with some hundred
studies of its own, read by its own readers, puts its own numbers in that place; no network is trained.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cspine import __version__
from cspine.datasets import KnownStudy, described, series_of
from cspine.domain import CERVICAL, BundleIncompatible, ConfigError, InputError, Vertebra, WorldBox
from cspine.evaluation import ErrorLevels, TrueBox, least_cases, read_triage
from cspine.models import ModelBundle, write_bundle
from cspine.pipeline import Analyzer, PipelineSpec
from cspine.stores import open_source
from cspine.workflow.case import Progress, no_progress
from cspine.workflow.tuning import TunedStudy, judged_study, spared_words, tune, without_map

MAPPED = 60
"""Studies with boxes whose maps are kept, to choose the operating point on; a map takes some 10 MB of memory."""
CARD = """
## Calibrated again

Calibration, limits of rule-in and rule-out, and operating point of the map were chosen on {chosen_on}. Nothing else
changed: the networks are those of bundle {before}. They were chosen on those studies and must be measured on others.
"""


@dataclass(frozen=True, eq=False)
class SiteStudies:
    """What a bundle says of a site's studies.

    Attributes
    ----------
    scored
        By UID.
    left_out
        Reason by UID of studies that gave no score.
    """

    scored: Mapping[str, TunedStudy]
    left_out: Mapping[str, str]

    @property
    def fractured(self) -> tuple[int, int]:
        """Return how many studies are fractured, and how many vertebrae with a score are."""
        studies = sum(int(s.labels[0]) for s in self.scored.values())
        return studies, sum(int((s.labels[1:][~np.isnan(s.logits)] == 1).sum()) for s in self.scored.values())


def score_site(known: Sequence[KnownStudy], analyzer: Analyzer, progress: Progress = no_progress) -> SiteStudies:
    """Run the fracture stage on every study; one that cannot be read or shows no neck is left out.

    Raises
    ------
    ConfigError
        The bundle has no fracture stage.
    """
    scored: dict[str, TunedStudy] = {}
    left: dict[str, str] = {}
    mapped = 0
    for number, study in enumerate(known):
        progress(f"study {number + 1} of {len(known)}", number / len(known))
        try:
            found = _scored(study, analyzer)
        except InputError as error:
            left[study.files.uid] = str(error)
            continue
        if found is None:
            left[study.files.uid] = "shows no cervical vertebra"
            continue
        keep = bool(found.boxes) and mapped < MAPPED
        mapped += keep
        scored[study.files.uid] = found if keep else without_map(found)
    return SiteStudies(scored, left)


def recalibrated(
    bundle: ModelBundle,
    site: SiteStudies,
    name: str,
    errors: tuple[ErrorLevels | None, ErrorLevels | None],
    out: Path,
    *,
    unbroken: Sequence[TunedStudy] = (),
    version: str | None = None,
) -> ModelBundle:
    """Write the bundle with the numbers of a site's studies.

    Parameters
    ----------
    name
        Of the studies, as documents will give it.
    errors
        Accepted shares of wrong answers, of vertebrae and of studies; ``None`` keeps those of the bundle.
    unbroken
        Other scans without a fracture: limits of rule-in are raised until none of them is ruled in.
    version
        Of the new bundle; by default that of the old one.

    Raises
    ------
    ConfigError
        Too few studies for the error levels.
    BundleIncompatible
        The bundle has no fracture stage.
    BundleError
        The folder exists.
    """
    old = bundle.manifest
    spec = PipelineSpec.from_manifest(old.preprocess)
    if spec.localize is None:
        raise BundleIncompatible(f"bundle {bundle.short_id} has no fracture stage: there is nothing to calibrate")
    before = read_triage(old.calibration)
    levels = errors[0] or before.level_rules[0].errors
    studies = errors[1] or before.study_rule.errors
    _check_enough(site, levels, studies)
    chosen_on = f"{len(site.scored)} studies of {name}" + spared_words(len(unbroken))
    scored = tuple(site.scored.values())
    tuned = tune(scored, spec.localize, chosen_on, (levels, studies), unbroken=unbroken)
    boxed = any(study.boxes for study in site.scored.values())
    point = tuned.point if boxed else float(old.thresholds["map"])
    parts = replace(
        old.parts,
        version=version or old.version,
        created_by=f"cspine {__version__}",
        calibration=tuned.triage.document(),
        thresholds={"map": point, "chosen_on": chosen_on},
        training={**old.training, "calibrated_again": {"from": bundle.id, "on": chosen_on}},
    )
    graphs = {graph: bundle.graph_bytes(graph) for graph in old.graphs}
    return write_bundle(out, parts, graphs, bundle.card() + CARD.format(chosen_on=chosen_on, before=bundle.short_id))


def boxes_by_level(boxes: Sequence[TrueBox]) -> dict[Vertebra, tuple[WorldBox, ...]]:
    """Return the boxes of fractures that count, by level."""
    found: dict[Vertebra, tuple[WorldBox, ...]] = {}
    for box in boxes:
        if box.counted and box.vertebra is not None:
            found[box.vertebra] = (*found.get(box.vertebra, ()), box.box_lps_mm)
    return found


def _scored(study: KnownStudy, analyzer: Analyzer) -> TunedStudy | None:
    truth = described(study, series_of(study.files)).truth
    boxes = None if truth.boxes is None else boxes_by_level(truth.boxes)
    with open_source(study.files.folder) as source:
        volume = source.studies()[0].load().volume
    return judged_study(analyzer, volume, np.array(truth.labels), boxes)


def _check_enough(site: SiteStudies, levels: ErrorLevels, studies: ErrorLevels) -> None:
    """Refuse what could only give a rule that never decides."""
    count = len(site.scored)
    broken, vertebrae = site.fractured
    whole = sum(int((s.labels[1:][~np.isnan(s.logits)] == 0).sum()) for s in site.scored.values())
    wanted = (
        ("fractured studies", broken, least_cases(studies.miss)),
        ("studies without a fracture", count - broken, least_cases(studies.false_alarm)),
        ("fractured vertebrae", vertebrae, least_cases(levels.miss)),
        (f"other vertebrae of {', '.join(v.name for v in CERVICAL)}", whole, least_cases(levels.false_alarm)),
    )
    for name, n, least in wanted:
        if n < least:
            raise ConfigError(
                f"{n} {name} have a score, the error levels need {least}; give more studies or accept larger errors"
            )


__all__ = ["SiteStudies", "boxes_by_level", "recalibrated", "score_site"]
