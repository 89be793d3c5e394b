"""One study from its source to its documents: read, analyze, render, send. Adds timings, changes no finding."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from cspine.dicom.header import LoadedSeries
from cspine.domain import Analysis, Volume
from cspine.report import chosen, file_name, render
from cspine.stores import Receipt, Sink
from cspine.workflow.merge import with_series_flags

Progress = Callable[[str, float], None]
Clock = Callable[[], float]

# Where on the progress bar a stage begins; reading and analyzing take nearly all of the time.
ANALYZE_SHARE, RENDER_SHARE, SEND_SHARE = 0.2, 0.85, 0.97


def no_progress(stage: str, share: float) -> None:
    """Report nothing."""


class Analyzing(Protocol):
    """What turns a volume into an analysis: `cspine.pipeline.Analyzer`, or an oracle in a test."""

    def analyze(self, volume: Volume, progress: Progress) -> Analysis:
        """Return the analysis of one volume."""


@dataclass(frozen=True)
class Order:
    """What is wanted of every study.

    Attributes
    ----------
    kinds
        Kinds of documents, as `cspine.report.RENDERERS` and `GROUPS` name them.
    progress
        Called with a stage and the share of the whole that is done, 0 … 1.
    clock
        Seconds; replaced in tests.
    """

    analyzer: Analyzing
    kinds: tuple[str, ...]
    progress: Progress = no_progress
    clock: Clock = time.perf_counter


@dataclass(frozen=True, eq=False)
class CaseResult:
    """What became of one study.

    Attributes
    ----------
    analysis
        Its findings carry the flags of the series, too.
    documents
        What was rendered, by kind, as it was sent.
    timings_s
        Seconds per stage, in order. Those before ``render`` also stand in the documents.
    left_out
        Kinds of a group that cannot be made of this study, with the reasons.
    """

    loaded: LoadedSeries
    analysis: Analysis
    documents: dict[str, bytes]
    receipts: tuple[Receipt, ...]
    timings_s: dict[str, float]
    left_out: dict[str, str] = field(default_factory=dict)


class StageClock:
    """Measures stages, one after the other: the next one ends the one before."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stage: str | None = None
        self._since = 0.0
        self.timings_s: dict[str, float] = {}

    def start(self, stage: str) -> None:
        """End the stage that runs, and start another; a stage may come back."""
        self.stop()
        self._stage, self._since = stage, self._clock()

    def stop(self) -> None:
        """End the stage that runs."""
        if self._stage is not None:
            spent = self._clock() - self._since
            self.timings_s[self._stage] = round(self.timings_s.get(self._stage, 0.0) + spent, 4)
        self._stage = None


def run_case(load: Callable[[], LoadedSeries], order: Order, sink: Sink) -> CaseResult:
    """Read one series, analyze it, render its documents and send them.

    Nothing is sent before everything is rendered, and `findings.json` comes last: where it is, the rest is, too.

    Raises
    ------
    CspineError
        The input is refused, a document cannot be made, or the sink refuses it.
    """
    stages = StageClock(order.clock)

    def enter(stage: str, share: float) -> None:
        stages.start(stage)
        order.progress(stage, share)

    def analyzing(stage: str, share: float) -> None:
        if share < 1:
            enter(stage, ANALYZE_SHARE + (RENDER_SHARE - ANALYZE_SHARE) * share)

    enter("read", 0.0)
    loaded = load()
    enter("analyze", ANALYZE_SHARE)
    analysis = with_series_flags(order.analyzer.analyze(loaded.volume, analyzing), loaded)
    enter("render", RENDER_SHARE)
    measured = dict(stages.timings_s)
    kinds, left_out = chosen(order.kinds, analysis, loaded)
    documents = {kind: render(analysis, loaded, kind, measured) for kind in kinds}
    enter("send", SEND_SHARE)
    in_turn = sorted(documents, key=lambda kind: kind == "json")
    receipts = tuple(sink.send(file_name(kind), documents[kind]) for kind in in_turn)
    stages.stop()
    order.progress("done", 1.0)
    return CaseResult(loaded, analysis, documents, receipts, stages.timings_s, left_out)
