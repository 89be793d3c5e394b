"""Parameters of the pipeline. They travel in the bundle's manifest; none is a constant of the code."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from cspine.domain import BundleIncompatible

# Classes of the coarse network's `seg` output, in order. C1 … C7 and T1 keep their RSNA label values.
SEG_CLASSES = ("background", "C1", "C2", "C3", "C4", "C5", "C6", "C7", "T1", "T2 and below", "skull", "rib")
# Channels of its `heat` output, in order: one per vertebra whose center it looks for.
HEAT_CLASSES = ("C1", "C2", "C3", "C4", "C5", "C6", "C7", "T1", "T2 and below")


@dataclass(frozen=True)
class IntensitySpec:
    """How HU become network input: ``(clip(hu, low, high) − center) / scale``.

    Attributes
    ----------
    pad_hu
        Value outside the scanned field.
    """

    low_hu: float = -800.0
    high_hu: float = 1400.0
    center_hu: float = 200.0
    scale_hu: float = 600.0
    pad_hu: float = -1000.0


@dataclass(frozen=True)
class CoarseSpec:
    """The whole-volume stage.

    Attributes
    ----------
    spacing_mm
        Working grid along (slice, row, column).
    margin_mm
        Padding beyond the scanned field, in which a center of a cut vertebra may lie.
    multiple
        The network takes shapes that are multiples of this.
    body_hu, body_opening
        Denser than this is body; voxels by which thin things are worn off before the body's box is taken.
    """

    spacing_mm: tuple[float, float, float] = (2.0, 4.0, 4.0)
    margin_mm: float = 12.0
    multiple: int = 16
    body_hu: float = -400.0
    body_opening: int = 2


@dataclass(frozen=True)
class DecodeSpec:
    """From heat maps to one consistent sequence.

    Attributes
    ----------
    place_min
        Smallest heat of a place on the ridge.
    ridge_gap_mm, ridge_stiffness
        Height without heat that the ridge may cross, and the price of its steps sideways.
    temperature
        Divides the log evidence; above 1 it admits that neighboring evidence is not independent.
    evidence_floor, evidence_even
        Heat that any name has everywhere, and heat at which a name gains nothing and loses nothing.
    peak_reach_mm, peak_sd_mm, off_peak
        A peak is the most heat within this distance; how far from one a center may lie, and the most that costs.
    spacing_sd_mm
        Standard deviation of the distance of neighbors about its mean for a person of that size.
    left_out
        Price of leaving out the heat of one vertebra.
    explained_mm
        Heat within this distance of a vertebra belongs to it.
    same_place_mm
        Places closer than this are the same vertebra.
    settle_mm
        A center settles on the top of the heat within this distance.
    inferred_below
        A vertebra with less heat than this is a question to the per-vertebra network.
    level_confidence
        Below this posterior probability, a name is flagged as uncertain.
    name_support
        The same, below this share of segmented bone that bears the name.
    scope_evidence
        Smallest heat of the surest cervical vertebra; below it, the volume shows no neck.
    """

    place_min: float = 0.08
    ridge_gap_mm: float = 34.0
    ridge_stiffness: float = 1.0
    temperature: float = 1.5
    evidence_floor: float = 0.03
    evidence_even: float = 0.15
    peak_reach_mm: float = 5.0
    peak_sd_mm: float = 4.0
    off_peak: float = 1.0
    spacing_sd_mm: float = 2.2
    left_out: float = 3.0
    explained_mm: float = 10.0
    same_place_mm: float = 8.0
    settle_mm: float = 6.5
    inferred_below: float = 0.2
    level_confidence: float = 0.6
    name_support: float = 0.3
    scope_evidence: float = 0.35


@dataclass(frozen=True)
class RefineSpec:
    """The per-vertebra stage.

    Attributes
    ----------
    spacing_mm, shape
        Isotropic crop grid and its voxels (slice, row, column).
    offset_mm
        Where the vertebra's center sits relative to the middle of the crop, along (slice, row, column).
    prompt_sigma_mm
        Width of the Gaussian that marks the center.
    center_sigma_mm
        Standard deviation of the true center about the place that the chain gives.
    mask_threshold
        Probability from which a voxel belongs to the vertebra.
    inferred_heat
        Center heat that a vertebra without a candidate of its own must show.
    reported_fraction, whole_fraction
        Visible fraction from which a vertebra is reported, and from which it counts as seen whole.
    """

    spacing_mm: float = 1.5
    shape: tuple[int, int, int] = (48, 64, 64)
    offset_mm: tuple[float, float, float] = (0.0, -16.0, 0.0)
    prompt_sigma_mm: float = 5.0
    center_sigma_mm: float = 6.0
    mask_threshold: float = 0.5
    inferred_heat: float = 0.3
    reported_fraction: float = 0.08
    whole_fraction: float = 0.97


@dataclass(frozen=True)
class SettleSpec:
    """When and how the centers of a neck are settled together. A bundle that says nothing has these values.

    Attributes
    ----------
    coarse_mm
        A scan with a voxel edge of at least this much; finer ones show each vertebra well enough by itself.
    place_back_mm
        How far behind the true center the whole-volume network places C1 … T1 on such scans (negative: in front), mean
        of 73 vertebrae of 13 phantoms; of the network of ``vertebrae 2``, which every bundle up to ``cspine 5`` has.
    place_sd_mm, center_sd_mm
        Standard deviation of the errors of the whole-volume and of the per-vertebra network on such scans.
    spacing_sd_mm, size_sd
        Of the distance of neighbors about its mean for a person of one size, and of that size about 1.
    """

    coarse_mm: float = 3.0
    place_back_mm: tuple[float, ...] = (-0.8, 3.5, 1.3, -0.1, 0.0, -0.3, -0.3, 0.1)
    place_sd_mm: float = 2.5
    center_sd_mm: float = 2.5
    spacing_sd_mm: float = 2.2
    size_sd: float = 0.09


@dataclass(frozen=True)
class SliceSpec:
    """Axial slices through one vertebra, evenly spaced from its top to its bottom.

    Attributes
    ----------
    count
        Slices per vertebra.
    size_px, pixel_mm
        Side of the square that is cut out round the vertebra.
    offset_mm
        How far the middle of the square lies behind the vertebra's center.
    """

    count: int = 15
    size_px: int = 192
    pixel_mm: float = 0.6
    offset_mm: float = 0.0


@dataclass(frozen=True)
class FractureSpec:
    """The fracture stage: one crop for each vertebra.

    Attributes
    ----------
    spacing_mm, shape
        Crop grid and its voxels (slice, row, column).
    back_mm, ring_back_mm
        How far the middle of the crop lies behind the vertebra's center; for C1, behind the center of its ring.
    dens_mm
        How far it lies above the center of C2.
    blur_mm
        Width (standard deviation) to which the outlines of the two mask channels are softened.
    map_block
        Voxels of the crop that make one voxel of the fracture map.
    types
        Fracture types among the network's heads; the others are mimics.
    members
        Networks that answer together, the mean of their logits; the graphs ``fracture``, ``fracture-2`` …
    mirrored
        Whether each also answers for the crop mirrored left to right (test-time augmentation).
    """

    spacing_mm: tuple[float, float, float] = (1.0, 0.75, 0.75)
    shape: tuple[int, int, int] = (48, 96, 112)
    back_mm: float = 14.0
    ring_back_mm: float = 2.0
    dens_mm: float = 6.0
    blur_mm: float = 1.2
    map_block: tuple[int, int, int] = (1, 2, 2)
    types: int = 28
    members: int = 1
    mirrored: bool = False

    @property
    def graphs(self) -> tuple[str, ...]:
        """Names of the members' graphs."""
        return tuple("fracture" if k == 1 else f"fracture-{k}" for k in range(1, self.members + 1))


@dataclass(frozen=True)
class LocalizeSpec:
    """From fracture maps to findings.

    Attributes
    ----------
    map_threshold
        Operating point of the map; that of the bundle's thresholds.
    smallest_mm3
        Smaller pieces are noise.
    join_mm
        Pieces closer than this are one fracture.
    reach_mm
        How far off its outline a break still belongs to a vertebra: fragments, the tip of the dens.
    spot_share
        Of a vertebra that is called fractured with nothing that reaches the operating point: share of its highest
        value that is shown.
    most
        Findings of one vertebra.
    map_floor
        Lower values are left out of the painted map.
    named_type, named_mimic
        Smallest probability of a type, and of a mimic, that is named.
    coarsest_mm
        Slice distance and pixel size beyond which no negative is given: a break may fall between.
    """

    map_threshold: float = 0.5
    smallest_mm3: float = 25.0
    join_mm: float = 4.0
    reach_mm: float = 12.0
    spot_share: float = 0.5
    most: int = 4
    map_floor: float = 0.05
    named_type: float = 0.35
    named_mimic: float = 0.5
    coarsest_mm: tuple[float, float] = (2.2, 1.2)


@dataclass(frozen=True)
class UnlikeSpec:
    """What is too unlike the training for an answer about fractures. A bundle that says nothing has these limits.

    Attributes
    ----------
    noise_hu
        Standard deviation of soft tissue on the crop grid. Phantoms of family A have 10 … 52 HU at slices of 2 mm, so
        about 95 HU at the thinnest; training adds up to 45 HU: 105 HU in all.
    tissue_hu
        Median of what surrounds the vertebrae. Muscle has 40 … 70 HU and fat −100; training moves the scale by 30 HU
        and a tenth.
    air_hu
        Highest value that the darkest two thousandths of a scan may reach: the airway at least is air, −1000 HU.
    metal_hu
        Denser than this is metal; bone and teeth are not.
    metal_named_cm3, metal_most_cm3
        Metal in a crop from which it is told, and beyond which no answer is given: three times an anterior plate of
        20 × 40 × 2.5 mm with six screws.
    """

    noise_hu: float = 120.0
    tissue_hu: tuple[float, float] = (-80.0, 130.0)
    air_hu: float = -700.0
    metal_hu: float = 2500.0
    metal_named_cm3: float = 0.3
    metal_most_cm3: float = 10.0


@dataclass(frozen=True)
class SecondLookSpec:
    """Vertebrae that are judged from three samplings of the scan instead of one.

    The networks take one spacing. What lies between its voxels is seen by sampling again, moved by a share of a voxel
    along all three axes, both ways; the logits of the three are averaged, the map is that of the first.

    Attributes
    ----------
    levels
        Names of the vertebrae, such as C1, C2, C7, where people miss most; none: off.
    shift
        Share of a voxel.
    """

    levels: tuple[str, ...] = ()
    shift: float = 0.5


@dataclass(frozen=True)
class PipelineSpec:
    """All of it; `fracture` and `localize` are ``None`` in a bundle without a fracture stage."""

    intensity: IntensitySpec = field(default_factory=IntensitySpec)
    coarse: CoarseSpec = field(default_factory=CoarseSpec)
    decode: DecodeSpec = field(default_factory=DecodeSpec)
    refine: RefineSpec = field(default_factory=RefineSpec)
    fracture: FractureSpec | None = None
    localize: LocalizeSpec | None = None
    unlike: UnlikeSpec = field(default_factory=UnlikeSpec)
    second_look: SecondLookSpec = field(default_factory=SecondLookSpec)
    settle: SettleSpec = field(default_factory=SettleSpec)

    def to_manifest(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_manifest(cls, values: Mapping[str, Any]) -> "PipelineSpec":
        """Read what `to_manifest` wrote.

        Raises
        ------
        BundleIncompatible
            A stage or a parameter is missing or unknown.
        """
        return cls(
            intensity=_read(IntensitySpec, values, "intensity"),
            coarse=_read(CoarseSpec, values, "coarse"),
            decode=_read(DecodeSpec, values, "decode"),
            refine=_read(RefineSpec, values, "refine"),
            fracture=None if values.get("fracture") is None else _read(FractureSpec, values, "fracture"),
            localize=None if values.get("localize") is None else _read(LocalizeSpec, values, "localize"),
            unlike=UnlikeSpec() if values.get("unlike") is None else _read(UnlikeSpec, values, "unlike"),
            second_look=_read(SecondLookSpec, values, "second_look") if values.get("second_look") else SecondLookSpec(),
            settle=_read(SettleSpec, values, "settle") if values.get("settle") else SettleSpec(),
        )


T = TypeVar("T")


def _read(kind: type[T], values: Mapping[str, Any], key: str) -> T:
    fields = values.get(key)
    if not isinstance(fields, Mapping):
        raise BundleIncompatible(f"manifest: preprocess.{key} is missing; export the bundle again with this version")
    known = set(kind.__dataclass_fields__)  # type: ignore[attr-defined]  # T is one of the dataclasses above
    if set(fields) != known:
        odd = sorted(set(fields) ^ known)
        raise BundleIncompatible(f"manifest: preprocess.{key} differs from this version in {', '.join(odd)}")
    plain = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
    return kind(**plain)
