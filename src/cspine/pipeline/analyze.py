"""Volume in, analysis out: the stages in order. No DICOM, disk, clock or environment."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from cspine import __version__
from cspine.domain import Analysis, ConfigError, LabelMap, OutOfScope, Vertebra, Volume
from cspine.evaluation import TRAUMA_PREVALENCE
from cspine.models import ModelBundle, Session, open_session
from cspine.pipeline.aggregate import (
    check_scope,
    findings_of,
    level_flags,
    low_contrast,
    seen_fraction,
)
from cspine.pipeline.agree import name_support
from cspine.pipeline.chain import NamedCenter, name_places
from cspine.pipeline.edge import held_by_edges
from cspine.pipeline.fracture import JudgedVertebra, judge
from cspine.pipeline.localize import paint_map
from cspine.pipeline.paint import paint_labels
from cspine.pipeline.places import Places, find_places
from cspine.pipeline.refine import RefinedVertebra, refine
from cspine.pipeline.segment import CoarseMaps, segment
from cspine.pipeline.settle import settle
from cspine.pipeline.spec import PipelineSpec
from cspine.pipeline.triage import Told, judgment_of, read_told

Progress = Callable[[str, float], None]


def no_progress(stage: str, share: float) -> None:
    """Report nothing."""


@dataclass(frozen=True, eq=False)
class Located:
    """Everything that the vertebra stage found in one canonical volume."""

    volume: Volume
    maps: CoarseMaps
    places: Places
    named: list[NamedCenter]
    refined: list[RefinedVertebra]
    support: dict[Vertebra, float]


class Analyzer:
    """A bundle made ready to run.

    Parameters
    ----------
    engine
        ``"openvino"`` or ``"onnxruntime"``.
    precision
        ``"f32"`` or ``"bf16"``; ``None`` takes the bundle's own.
    prevalence
        Share of fractured studies among the reader's patients; moves probabilities, not decisions.

    Raises
    ------
    ConfigError
        The prevalence is not between 0 and 1.
    BundleError
        The bundle is for another version, or a graph cannot be opened.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        *,
        engine: str = "openvino",
        threads: int = 4,
        precision: str | None = None,
        prevalence: float = TRAUMA_PREVALENCE,
    ) -> None:
        if not 0 < prevalence < 1:
            raise ConfigError(f"prevalence is {prevalence}, must be between 0 and 1")
        self.spec = PipelineSpec.from_manifest(bundle.manifest.preprocess)
        self.threads = threads
        self._identity = (bundle.id, bundle.manifest.name, f"cspine {__version__}")
        self._coarse = self._open(bundle, "coarse", engine, precision)
        self._refine = self._open(bundle, "refine", engine, precision)
        self._fracture: tuple[tuple[Session, ...], Told] | None = None
        if self.spec.fracture is not None and self.spec.localize is not None:
            triage, point = read_told(bundle.manifest.calibration, bundle.manifest.thresholds)
            types, mimics = (tuple(bundle.manifest.labels.get(key, ())) for key in ("types", "mimics"))
            localize = replace(self.spec.localize, map_threshold=point)
            told = Told(triage, localize, types, mimics, prevalence, self.spec.unlike)
            members = tuple(self._open(bundle, graph, engine, precision) for graph in self.spec.fracture.graphs)
            self._fracture = members, told

    @property
    def assesses_fractures(self) -> bool:
        """Whether the bundle has a fracture stage."""
        return self._fracture is not None

    def locate(self, volume: Volume, progress: Progress = no_progress) -> Located:
        """Find, name and outline the vertebrae of one volume in any orientation.

        Raises
        ------
        OutOfScope
            The volume shows no cervical spine.
        """
        if low_contrast(volume.hu):
            raise OutOfScope("the volume is empty: every sampled voxel is air or of one value; give a CT of the neck")
        canonical = volume.canonical()
        progress("find vertebrae", 0.0)
        maps = segment(canonical, self._coarse, self.spec, self.threads)
        progress("name vertebrae", 0.4)
        places = find_places(maps.heat, maps.grid, self.spec.decode)
        named = name_places(places, self.spec.decode)
        check_scope(places, named, self.spec.decode)
        progress("outline vertebrae", 0.45)
        refined = refine(canonical, named, self._refine, self.spec, self.threads)
        if max(canonical.grid.spacing_mm) >= self.spec.settle.coarse_mm:
            refined = self._settled(canonical, named, refined)
        refined = held_by_edges(refined, canonical.grid, self.spec.decode.same_place_mm)
        return Located(canonical, maps, places, named, refined, name_support(refined, maps))

    def judge(self, located: Located, labels: LabelMap) -> list[JudgedVertebra]:
        """Run the fracture networks on what `locate` found; `labels` are canonical, as `paint_labels` makes them.

        Raises
        ------
        ConfigError
            The bundle has no fracture stage.
        """
        if self._fracture is None:
            raise ConfigError("this bundle has no fracture stage; give one that has")
        members, _ = self._fracture
        return judge(located.volume, labels, located.refined, members, self.spec, threads=self.threads)

    def analyze(self, volume: Volume, progress: Progress = no_progress) -> Analysis:
        """Return the analysis of one volume in any orientation; errors as in `locate`."""
        located = self.locate(volume, progress)
        progress("paint labels", 0.85 if self._fracture is None else 0.65)
        painted = paint_labels(located.refined, located.volume.grid, self.threads)
        order = volume.grid.canonical_order()
        labels = LabelMap(volume.grid, order.undo(painted.labels))
        flags = level_flags(located.refined, located.support, self.spec.decode)
        made = (located.refined, labels, self.spec.refine, flags, self._identity)
        if self._fracture is None:
            progress("done", 1.0)
            return Analysis(findings_of(*made), labels)
        progress("look for fractures", 0.7)
        _, told = self._fracture
        judged = self.judge(located, painted)
        seen = {r.vertebra: seen_fraction(r, self.spec.refine) for r in located.refined}
        findings = findings_of(*made, judgment=judgment_of(judged, seen, told, located.volume))
        broken = paint_map(judged, located.volume.grid, told.localize, self.threads)
        progress("done", 1.0)
        return Analysis(findings, labels, Volume(volume.grid, order.undo(broken.hu)), told.localize.map_threshold)

    def _settled(
        self, canonical: Volume, named: list[NamedCenter], refined: list[RefinedVertebra]
    ) -> list[RefinedVertebra]:
        """Return the vertebrae of a coarse scan, outlined again from where the neck as a whole says they are."""
        seen = {n.vertebra: n.center_lps_mm for n in named}
        first = settle(seen, {r.vertebra: r.center_lps_mm for r in refined}, self.spec.settle)
        again = [replace(n, center_lps_mm=first[n.vertebra]) for n in named if n.vertebra in first]
        refined = refine(canonical, again, self._refine, self.spec, self.threads)
        last = settle(seen, {r.vertebra: r.center_lps_mm for r in refined}, self.spec.settle)
        return [replace(r, center_lps_mm=last[r.vertebra]) for r in refined]

    def _open(self, bundle: ModelBundle, graph: str, engine: str, precision: str | None) -> Session:
        return open_session(bundle, graph, engine=engine, threads=self.threads, precision=precision)
