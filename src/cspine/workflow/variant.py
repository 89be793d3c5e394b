"""A bundle with other vertebra networks, that looks more often (both to be calibrated again), or with another card."""

from dataclasses import dataclass, replace
from pathlib import Path

from cspine import __version__
from cspine.domain import BundleIncompatible
from cspine.models import ModelBundle, write_bundle
from cspine.pipeline import PipelineSpec, SecondLookSpec

VERTEBRA_GRAPHS = ("coarse", "refine")


@dataclass(frozen=True)
class Variant:
    """What is to be otherwise; ``None`` leaves it as it is.

    Attributes
    ----------
    vertebrae
        Bundle whose vertebra networks are taken, with what belongs to them.
    mirrored
        Whether fracture networks also answer for the mirrored crop.
    second_look
        Vertebrae that are judged from three samplings of the scan.
    """

    vertebrae: ModelBundle | None = None
    mirrored: bool | None = None
    second_look: SecondLookSpec | None = None

    @property
    def is_other(self) -> bool:
        """Whether anything is to be otherwise."""
        return self != Variant()


def variant_of(bundle: ModelBundle, variant: Variant, out: Path) -> ModelBundle:
    """Write a bundle that is otherwise in what was asked for; calibration and card are the old ones.

    Raises
    ------
    BundleIncompatible
        The bundle has no fracture stage, or the vertebra networks do not fit to it.
    BundleError
        The folder exists.
    """
    old = bundle.manifest
    spec = PipelineSpec.from_manifest(old.preprocess)
    if spec.fracture is None:
        raise BundleIncompatible(f"bundle {bundle.short_id} has no fracture stage; give one that has")
    if variant.mirrored is not None:
        spec = replace(spec, fracture=replace(spec.fracture, mirrored=variant.mirrored))
    if variant.second_look is not None:
        spec = replace(spec, second_look=variant.second_look)
    graphs = {name: bundle.graph_bytes(name) for name in old.graphs}
    parity, training = dict(old.parity), dict(old.training)
    if (other := variant.vertebrae) is not None:
        spec = _with_vertebrae(spec, bundle, other)
        new = other.manifest
        graphs |= {name: other.graph_bytes(name) for name in VERTEBRA_GRAPHS}
        parity |= {name: new.parity[name] for name in VERTEBRA_GRAPHS}
        training["vertebrae"] = {"bundle": other.id, **dict(new.training.get("vertebrae", new.training))}
    parts = replace(
        old.parts,
        created_by=f"cspine {__version__}",
        preprocess=spec.to_manifest(),
        parity=parity,
        training=training,
    )
    return write_bundle(out, parts, graphs, bundle.card())


def _with_vertebrae(spec: PipelineSpec, bundle: ModelBundle, other: ModelBundle) -> PipelineSpec:
    """Return the parameters with those of another vertebra stage, where the two fit together."""
    old, new = bundle.manifest, other.manifest
    if any(old.labels[key] != new.labels[key] for key in ("seg", "heat")):
        raise BundleIncompatible(f"bundles {bundle.short_id} and {other.short_id} name other vertebrae")
    after = PipelineSpec.from_manifest(new.preprocess)
    if spec.intensity != after.intensity:
        raise BundleIncompatible(
            f"the vertebra networks of bundle {other.short_id} see other gray values than the fracture stage of "
            f"{bundle.short_id} does"
        )
    return replace(spec, coarse=after.coarse, decode=after.decode, refine=after.refine, settle=after.settle)


def with_card(bundle: ModelBundle, card: str, out: Path) -> ModelBundle:
    """Write the same bundle with another model card (Markdown), such as one with your own figures.

    Raises
    ------
    BundleError
        The folder exists, or the disk refuses.
    """
    return write_bundle(
        out, bundle.manifest.parts, {name: bundle.graph_bytes(name) for name in bundle.manifest.graphs}, card
    )


__all__ = ["Variant", "variant_of", "with_card"]
