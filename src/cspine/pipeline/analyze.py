"""Volume in, analysis out: the stages in order. No DICOM, disk, clock or environment."""

from collections.abc import Callable
from dataclasses import dataclass

from cspine import __version__
from cspine.domain import Analysis, LabelMap, OutOfScope, Vertebra, Volume
from cspine.models import ModelBundle, Session, open_session
from cspine.pipeline.aggregate import check_scope, findings_of, level_flags, low_contrast
from cspine.pipeline.agree import name_support
from cspine.pipeline.chain import NamedCenter, name_places
from cspine.pipeline.paint import paint_labels
from cspine.pipeline.places import Places, find_places
from cspine.pipeline.refine import RefinedVertebra, refine
from cspine.pipeline.segment import CoarseMaps, segment
from cspine.pipeline.spec import PipelineSpec

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

    Raises
    ------
    BundleError
        The bundle is for another version, or a graph cannot be opened.
    """

    def __init__(
        self, bundle: ModelBundle, *, engine: str = "openvino", threads: int = 4, precision: str | None = None
    ) -> None:
        self.spec = PipelineSpec.from_manifest(bundle.manifest.preprocess)
        self.threads = threads
        self._identity = (bundle.id, bundle.manifest.name, f"cspine {__version__}")
        self._coarse = self._open(bundle, "coarse", engine, precision)
        self._refine = self._open(bundle, "refine", engine, precision)

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
        return Located(canonical, maps, places, named, refined, name_support(refined, maps))

    def analyze(self, volume: Volume, progress: Progress = no_progress) -> Analysis:
        """Return the analysis of one volume in any orientation; errors as in `locate`."""
        located = self.locate(volume, progress)
        progress("paint labels", 0.85)
        painted = paint_labels(located.refined, located.volume.grid, self.threads)
        labels = LabelMap(volume.grid, volume.grid.canonical_order().undo(painted.labels))
        flags = level_flags(located.refined, located.support, self.spec.decode)
        findings = findings_of(located.refined, labels, self.spec.refine, flags, self._identity)
        progress("done", 1.0)
        return Analysis(findings, labels)

    def _open(self, bundle: ModelBundle, graph: str, engine: str, precision: str | None) -> Session:
        return open_session(bundle, graph, engine=engine, threads=self.threads, precision=precision)
