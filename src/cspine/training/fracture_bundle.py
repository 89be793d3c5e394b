"""A bundle with a fracture stage: the vertebra networks of another bundle, a fracture network, what was tuned."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cspine import __version__
from cspine.domain import CERVICAL
from cspine.evaluation import RSNA_PRIORS, ConformalRule, ErrorLevels, LogitCalibration, StudyHead, Triage
from cspine.models import ManifestParts, ModelBundle, load_bundle, write_bundle
from cspine.pipeline import FractureSpec, LocalizeSpec, PipelineSpec, SecondLookSpec
from cspine.training.export import ExportedGraph, compared, to_onnx
from cspine.training.fracture_cases import MIMICS, TYPES
from cspine.training.fracture_net import INPUTS
from cspine.workflow import Tuned


@dataclass(frozen=True)
class FractureAbout:
    """What a bundle says of its fracture stage.

    Attributes
    ----------
    training
        Plain JSON for the manifest: how the fracture network was made.
    card
        Model card; ``{chosen_on}`` is the name of the tuning set.
    level_errors, study_errors
        Accepted shares of wrong answers, which an untuned bundle says as well: whoever tunes it keeps to them.
    """

    name: str
    version: str
    spec: FractureSpec
    localize: LocalizeSpec
    training: dict[str, Any]
    card: str
    second_look: SecondLookSpec = field(default_factory=SecondLookSpec)
    level_errors: ErrorLevels = field(default_factory=ErrorLevels)
    study_errors: ErrorLevels = field(default_factory=ErrorLevels)


def export_fracture(network: nn.Module, spec: FractureSpec) -> ExportedGraph:
    """Export the fracture network with a free batch."""
    batch = torch.export.Dim("vertebrae", min=1, max=64)
    generator = torch.Generator().manual_seed(0)
    example, other = (torch.randn(n, INPUTS, *spec.shape, generator=generator) for n in (2, 1))
    names = ["map", "heads"]
    graph = to_onnx(network, example, ({0: batch},), (["crop"], names))
    return ExportedGraph(graph, compared(network, graph, ("crop", names), (example, other)))


def write_fracture_bundle(
    folder: Path, vertebrae: ModelBundle, members: Sequence[nn.Module], about: FractureAbout, tuned: Tuned | None
) -> ModelBundle:
    """Write a bundle, or open the one that is there.

    Parameters
    ----------
    vertebrae
        Its vertebra networks go into the new bundle.
    members
        Fracture networks that answer together.
    tuned
        ``None`` makes a bundle that calls every vertebra uncertain.
    """
    if folder.exists():
        return load_bundle(folder)
    old = vertebrae.manifest
    fracture = replace(about.spec, members=len(members))
    spec = replace(PipelineSpec.from_manifest(old.preprocess), fracture=fracture, localize=about.localize)
    spec = replace(spec, second_look=about.second_look)
    exported = {name: export_fracture(one, fracture) for name, one in zip(fracture.graphs, members, strict=True)}
    triage, point = (untuned(about), 0.5) if tuned is None else (tuned.triage, tuned.point)
    graphs = {name: vertebrae.graph_bytes(name) for name in ("coarse", "refine")}
    parts = ManifestParts(
        name=about.name,
        version=about.version,
        created_by=f"cspine {__version__}",
        precision=old.precision,
        labels={**old.labels, "types": TYPES, "mimics": MIMICS},
        preprocess=spec.to_manifest(),
        parity={**{n: old.parity[n] for n in graphs}, **{n: graph.parity for n, graph in exported.items()}},
        calibration=triage.document(),
        thresholds={"map": point, "chosen_on": triage.chosen_on},
        training={
            # Of a bundle that has a fracture stage, too, only what it says of its vertebra stage.
            "vertebrae": {"bundle": vertebrae.id, **dict(old.training.get("vertebrae", old.training))},
            "fractures": about.training,
            "map_points": {} if tuned is None else {f"{k:g}": round(v, 4) for k, v in tuned.points.items()},
        },
    )
    card = about.card.replace("{chosen_on}", triage.chosen_on)
    return write_bundle(folder, parts, {**graphs, **{n: graph.onnx for n, graph in exported.items()}}, card)


def untuned(about: FractureAbout) -> Triage:
    """Return what says nothing: every vertebra is uncertain."""
    level, study = (ConformalRule(None, None, errors, 0, 0) for errors in (about.level_errors, about.study_errors))
    return Triage(
        calibration=LogitCalibration(),
        priors=RSNA_PRIORS,
        level_rules=(level,) * len(CERVICAL),
        study_rule=study,
        head=StudyHead((1.0, *(0.0,) * 6), 0.0, (-2.0,) * len(CERVICAL)),
        head_calibration=LogitCalibration(),
        chosen_on="nothing: not tuned",
    )


__all__ = ["FractureAbout", "export_fracture", "untuned", "write_fracture_bundle"]
