"""Run an analyzer over many phantoms, made on the way or stored in a set, and score it."""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from cspine.datasets import read_known, read_stored_vertebrae, read_study
from cspine.domain import Analysis, NoImages, OutOfScope, Volume
from cspine.evaluation import CaseScore, VertebraSummary, score_case, summarize
from cspine.phantom import (
    PROCEDURAL,
    Case,
    Field,
    PhantomSpec,
    make_case,
    sample_fractures,
    sample_spec,
    with_mimics,
    with_variants,
)
from cspine.workflow.case import Analyzing, no_progress

Report = Callable[[CaseScore, int], None]


@dataclass(frozen=True)
class EvaluationPlan:
    """Which phantoms evaluate; equal plans make equal cases.

    Attributes
    ----------
    anatomy
        ``"procedural"``, or a folder of meshes.
    family
        Of the scanner: ``"B"`` is never trained on.
    matrix
        Rows and columns; a smaller image than a hospital's, to save time.
    finest_mm
        Smallest distance of slices, for the same reason.
    pixel_mm, field_mm
        Where given, pixels of this size over at most this field instead of `matrix`: a break is lost in larger ones.
    fractured
        Fractures as common as in the RSNA set, of the same family as the scanner, and mimics and variants as common
        as in adults; otherwise usual bones.
    """

    cases: int = 100
    anatomy: str = PROCEDURAL
    family: str = "B"
    seed: int = 77
    matrix: tuple[int, int] = (256, 256)
    finest_mm: float = 0.8
    workers: int = 3
    pixel_mm: float | None = None
    field_mm: float = 170.0
    fractured: bool = False

    def spec(self, number: int) -> PhantomSpec:
        """Return the specification of a case: a pure function of the plan and the number."""
        rng = np.random.default_rng([self.seed, number])
        spec = sample_spec(rng, anatomy=self.anatomy, family=self.family)
        spacing = max(self.finest_mm, spec.scanner.spacing_mm)
        wide, matrix = spec.scanner.field_of_view_mm, self.matrix
        if self.pixel_mm is not None:
            wide = min(wide, self.field_mm)
            matrix = (math.ceil(wide / self.pixel_mm),) * 2
        scanner = replace(
            spec.scanner,
            field_of_view_mm=wide,
            matrix=matrix,
            spacing_mm=spacing,
            thickness_mm=max(spacing, spec.scanner.thickness_mm),
        )
        spec = replace(spec, scanner=scanner)
        if not self.fractured:
            return spec
        field = spec.coverage
        broken = sample_fractures(rng, family=self.family, top=field.top, bottom=field.bottom)
        return with_mimics(with_variants(replace(spec, fractures=broken)))


def make_evaluation_cases(plan: EvaluationPlan) -> Iterator[tuple[PhantomSpec, Case]]:
    """Yield the cases of a plan in order; a few are made ahead in other processes."""
    specs = [plan.spec(number) for number in range(plan.cases)]
    with ProcessPoolExecutor(plan.workers, mp_context=get_context("forkserver")) as pool:
        ahead = 2 * plan.workers
        waiting = [pool.submit(make_case, spec, 1) for spec in specs[:ahead]]
        for number, spec in enumerate(specs):
            case = waiting.pop(0).result()
            if number + ahead < len(specs):
                waiting.append(pool.submit(make_case, specs[number + ahead], 1))
            yield spec, case


def score_cases(analyzer: Analyzing, cases: Iterator[tuple[PhantomSpec, Case]], report: Report) -> list[CaseScore]:
    """Analyze and score cases one by one; a refused one counts as such."""
    scores = []
    for number, (spec, case) in enumerate(cases):
        analysis = _analyzed(analyzer, case.volume)
        score = score_case(f"{number:04d}", spec.coverage.kind.value, case.truth, case.labels, analysis)
        report(score, number + 1)
        scores.append(score)
    return scores


def score_stored(analyzer: Analyzing, root: Path, report: Report) -> list[CaseScore]:
    """Analyze and score the phantoms of a set in the layout of RSNA 2022 that have a mask.

    Raises
    ------
    NoImages
        There is none.
    """
    wanted = []
    for known in read_known(root):
        truth = read_stored_vertebrae(root, known.files.uid)
        if truth is not None and known.files.mask is not None:
            wanted.append((known, *truth))
    if not wanted:
        raise NoImages(f"{root} has no phantom with a mask; make some with cspine phantom make --layout rsna --masks 1")
    scores = []
    for number, (known, kind, true) in enumerate(wanted):
        study = read_study(known.files)
        assert study.labels is not None
        score = score_case(known.files.uid, kind, true, study.labels, _analyzed(analyzer, study.volume))
        report(score, number + 1)
        scores.append(score)
    return scores


def _analyzed(analyzer: Analyzing, volume: Volume) -> Analysis | None:
    """Return the analysis, ``None`` of a refused volume."""
    try:
        return analyzer.analyze(volume, no_progress)
    except OutOfScope:
        return None


def summaries(scores: list[CaseScore]) -> list[VertebraSummary]:
    """Return the figures over all cases, and over each kind of coverage."""
    rng = np.random.default_rng(0)
    groups = [(kind.value, [s for s in scores if s.group == kind.value]) for kind in Field]
    return [summarize(scores, "all", rng), *(summarize(part, name, rng) for name, part in groups if part)]
