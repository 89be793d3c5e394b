"""Vertebra crops of phantoms with fractures, drawn once and stored person by person, from where an earlier run stopped.

A person carries more fractures than a patient does, so that half of the crops are positive at a fraction of the cost;
prevalence is put back by the calibration. Beside each stands its twin, the same person unbroken in the same scans:
what parts them is the break alone. Into every crop of a twin other fractures of its vertebra are then cut, one at a
time, the cheapest way to many different ones. Nothing of family B and no evaluation-only anatomy is drawn.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from cspine.domain import ConfigError
from cspine.phantom import (
    CropPlan,
    Field,
    Fracture,
    FractureAge,
    FractureMix,
    FractureType,
    MimicKind,
    PhantomSpec,
    VertebraCrop,
    crops_of,
    insert_fracture,
    prepare_site,
    sample_fracture,
    sample_fractures,
    sample_spec,
    with_mimics,
    with_variants,
)

TYPES = tuple(kind.value for kind in FractureType)
# What a reader would name the mimic: each kind of the phantom, in the words of the findings.
MIMIC_GROUPS: dict[str, tuple[MimicKind, ...]] = {
    "vascular channel": (MimicKind.NUTRIENT_CHANNEL, MimicKind.VASCULAR_CHANNEL),
    "unfused arch or growth plate": (MimicKind.ARCH_CLEFT, MimicKind.OS_ODONTOIDEUM, MimicKind.GROWTH_PLATE),
    "old healed fracture": (MimicKind.HEALED_FRACTURE,),
    "osteophyte or ossicle": (
        MimicKind.LIMBUS,
        MimicKind.OSSICLE,
        MimicKind.OSSIFIED_POSTERIOR_LIGAMENT,
        MimicKind.OSSIFIED_ANTERIOR_LIGAMENT,
        MimicKind.OSSIFIED_NUCHAL_LIGAMENT,
    ),
    "image artifact": (MimicKind.SHOULDER_STREAK, MimicKind.MOTION_STEP, MimicKind.MACH_LINE),
    "metal": (MimicKind.PLATE_AND_SCREWS, MimicKind.POSTERIOR_SCREWS, MimicKind.DENTAL_METAL),
}
MIMICS = tuple(MIMIC_GROUPS)
FirstPersons = Callable[[int], tuple[Path, ...]]
LABEL_BITS, OWN_FRACTURE, OTHER_FRACTURE, TWIN_FRACTURE = 15, 16, 32, 64
_INSERTED_HEALED, _TRIES = 0.1, 3


@dataclass(frozen=True)
class FractureCasePlan:
    """Which crops train the fracture stage.

    Attributes
    ----------
    persons
        Each gives seven crops for every scan.
    crops
        Grid, anatomies, scans of each person.
    other_every
        One person of so many has an anatomy other than the first, in turn: meshes cost three times as much.
    draws
        Times that fractures are drawn for each person; a level that broke before stays as it was.
    untouched
        Share of the persons without any fracture; they are their own twins.
    mix
        How often what breaks; healed fractures are more common than in patients, to be told apart.
    inserted
        Crops that are made of every crop of a twin, each with another fracture cut in; what all of a crop share costs
        twice what one of them does.
    room
        Voxels (slice, row, column) that a crop is larger while fractures are cut in: only whole vertebrae take any.
    """

    persons: int = 120
    crops: CropPlan = field(default_factory=lambda: CropPlan(scans=3))
    other_every: int = 4
    draws: int = 3
    untouched: float = 0.12
    mix: FractureMix = field(default_factory=lambda: FractureMix(study=1.0, healed=0.25, distractor=0.1))
    inserted: int = 2
    room: tuple[int, int, int] = (16, 24, 16)
    seed: int = 31
    workers: int = 2


@dataclass(frozen=True, eq=False)
class CropFile:
    """The crops of one person.

    Attributes
    ----------
    hu
        int16 (crop, slice, row, column).
    codes
        uint8, same shape: vertebra label in the low four bits, then fracture of the crop's own vertebra, of another;
        in a twin, where its own vertebra is broken in another crop.
    vertebra, fractured, severity
        int (crop,): label value, 0 or 1, worst severity or 0.
    types, mimics
        bool (crop, type) and (crop, group) of the own vertebra, in the order of `TYPES` and `MIMICS`.
    mapped
        bool (crop,): whether the codes show every fracture in the crop, or nobody drew them.
    told
        bool (crop,): whether types and mimics are known.
    twin
        bool (crop,): unbroken, and broken in another crop.
    """

    hu: np.ndarray
    codes: np.ndarray
    vertebra: np.ndarray
    fractured: np.ndarray
    severity: np.ndarray
    types: np.ndarray
    mimics: np.ndarray
    mapped: np.ndarray
    told: np.ndarray
    twin: np.ndarray


def make_fracture_cases(plan: FractureCasePlan, root: Path) -> list[Path]:
    """Make the missing persons of a plan below `root` and return the folders of all.

    Raises
    ------
    ConfigError
        An anatomy is for evaluation only.
    """
    with drawn_persons(plan, root) as first:
        return list(first(plan.persons))


@contextmanager
def drawn_persons(plan: FractureCasePlan, root: Path) -> Iterator[FirstPersons]:
    """Make the missing persons of a plan below `root`, in the background and in order.

    Yields
    ------
    FirstPersons
        Returns the folders of the first so many persons, as soon as all of them are there. At the end of the block
        persons that nobody waited for are not begun.

    Raises
    ------
    ConfigError
        An anatomy is for evaluation only.
    """
    root.mkdir(parents=True, exist_ok=True)
    wanted = [root / f"person_{k:05d}" for k in range(plan.persons)]
    missing = [k for k, folder in enumerate(wanted) if not folder.is_dir()]
    if not missing:
        yield lambda count: tuple(wanted[:count])
        return
    with ProcessPoolExecutor(plan.workers, mp_context=get_context("forkserver")) as pool:
        making = {k: pool.submit(_make_one, plan, k, root) for k in missing}

        def first(count: int) -> tuple[Path, ...]:
            for number, made in making.items():
                if number < count:
                    made.result()
            return tuple(wanted[:count])

        try:
            yield first
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def draw_person(plan: FractureCasePlan, number: int) -> PhantomSpec:
    """Return person `number`: a pure function of the plan and the number."""
    rng = np.random.default_rng([plan.seed, number])
    first, *others = plan.crops.anatomies
    turn, left = divmod(number, plan.other_every)
    anatomy = others[turn % len(others)] if others and left == plan.other_every - 1 else first
    spec = with_variants(with_mimics(sample_spec(rng, anatomy=anatomy, field=Field.WHOLE)))
    if rng.uniform() < plan.untouched:
        return spec
    return replace(spec, fractures=_many_fractures(plan, rng))


def _many_fractures(plan: FractureCasePlan, rng: np.random.Generator) -> tuple[Fracture, ...]:
    drawn: dict[int, list[Fracture]] = {}
    for _ in range(plan.draws):
        fresh = sample_fractures(rng, mix=plan.mix)
        broken = {int(f.vertebra) for f in fresh} - drawn.keys()
        for level in broken:
            drawn[level] = [f for f in fresh if int(f.vertebra) == level]
    return tuple(f for level in sorted(drawn) for f in drawn[level])


def load_crops(folder: Path) -> CropFile:
    """Read the crops of one person; pictures are mapped, not read.

    Raises
    ------
    ConfigError
        The folder does not hold what `make_fracture_cases` writes.
    """
    try:
        small = np.load(folder / "truth.npz")
        truth = {key: small[key] for key in ("vertebra", "fractured", "severity", "types", "mimics")}
        # Phantoms know everything, and do not say so.
        truth |= {key: small.get(key, np.ones(len(truth["vertebra"]), dtype=bool)) for key in ("mapped", "told")}
        truth["twin"] = small.get("twin", np.zeros(len(truth["vertebra"]), dtype=bool))
        hu, codes = (np.load(folder / name, mmap_mode="r") for name in ("hu.npy", "codes.npy"))
        return CropFile(hu, codes, **truth)
    except (OSError, KeyError, ValueError) as error:
        raise ConfigError(f"{folder}: not the crops of a person ({error}); delete it, and it is made again") from error


def _make_one(plan: FractureCasePlan, number: int, root: Path) -> None:
    spec = draw_person(plan, number)
    broken = _scans(plan, number, spec) if spec.fractures else []
    bare = _scans(plan, number, replace(spec, fractures=()))
    rng = np.random.default_rng([plan.seed, number, 2])
    cut = [(k, other) for k, crop in enumerate(bare) for other in insert_own(crop, plan.mix, rng, plan.inserted)]
    crops, codes = list(bare), [middle(_codes(crop), plan.crops.shape) for crop in bare]
    for k, other in (*enumerate(broken), *cut):
        crops.append(other)
        codes.append(middle(_codes(other), plan.crops.shape))
        codes[k] |= np.where(codes[-1] & OWN_FRACTURE, TWIN_FRACTURE, 0).astype(np.uint8)
    twin = np.array([k < len(bare) and bool((c & TWIN_FRACTURE).any()) for k, c in enumerate(codes)])
    hu = np.stack([middle(crop.volume.hu, plan.crops.shape) for crop in crops])
    save_crops(root / f"person_{number:05d}", hu, np.stack(codes), {**_truth(crops), "twin": twin})


def _scans(plan: FractureCasePlan, number: int, spec: PhantomSpec) -> list[VertebraCrop]:
    shape = tuple(n + more for n, more in zip(plan.crops.shape, plan.room, strict=True))
    roomy = replace(plan.crops, shape=(shape[0], shape[1], shape[2]))
    return list(crops_of(spec, roomy, np.random.default_rng([plan.seed, number, 1])))


def middle(array: np.ndarray, shape: tuple[int, int, int], fill: float = 0.0) -> np.ndarray:
    """Return the middle of an array in another shape, padded with `fill` where the array is smaller."""
    wide = [(max(0, n - m) // 2, -(-max(0, n - m) // 2)) for m, n in zip(array.shape, shape, strict=True)]
    padded = np.pad(array, wide, constant_values=fill) if any(sum(w) for w in wide) else array
    starts = [(m - n) // 2 for m, n in zip(padded.shape, shape, strict=True)]
    return padded[tuple(slice(s, s + n) for s, n in zip(starts, shape, strict=True))]


def insert_own(
    crop: VertebraCrop, mix: FractureMix, rng: np.random.Generator, count: int = 1
) -> Iterator[VertebraCrop]:
    """Yield an unbroken crop with a fracture cut into its own vertebra, `count` times or as often as one can be."""
    try:
        site = prepare_site(crop.volume, crop.labels, crop.vertebra)
    except ConfigError:  # a vertebra that is not whole
        return
    for _ in range(count):
        age = FractureAge.HEALED if rng.uniform() < _INSERTED_HEALED else None
        for _ in range(_TRIES):
            fracture = sample_fracture(rng, crop.vertebra, mix=mix, age=age)
            try:
                case = insert_fracture(crop.volume, crop.labels, fracture, rng, site=site)
            except ConfigError:  # one that needs the rest of the spine to move
                continue
            spec = replace(crop.spec, fractures=(fracture,))
            yield VertebraCrop(crop.vertebra, case.volume, case.labels, case.fractures, case.truth.fractures, spec)
            break


def save_crops(folder: Path, hu: np.ndarray, codes: np.ndarray, truth: dict[str, np.ndarray]) -> None:
    """Write what `load_crops` reads; the folder has its name when it is whole.

    Parameters
    ----------
    truth
        The other attributes of `CropFile`; ``mapped`` and ``told`` may be absent where they are true.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    np.save(partial / "hu.npy", hu)
    np.save(partial / "codes.npy", codes)
    np.savez(partial / "truth.npz", **truth)  # type: ignore[arg-type]  # names are not numpy's own
    partial.rename(folder)


def _truth(crops: list[VertebraCrop]) -> dict[str, np.ndarray]:
    counted = [[t for t in crop.truths if t.vertebra == crop.vertebra] for crop in crops]
    return {
        "vertebra": np.array([int(crop.vertebra) for crop in crops]),
        "fractured": np.array([int(crop.is_fractured) for crop in crops]),
        "severity": np.array([max((t.severity for t in own), default=0) for own in counted]),
        "types": np.array([[any(t.type == kind for t in own) for kind in TYPES] for own in counted]),
        "mimics": np.array([_mimics(crop) for crop in crops]),
    }


def _codes(crop: VertebraCrop) -> np.ndarray:
    own = [k + 1 for k, truth in enumerate(crop.truths) if truth.vertebra == crop.vertebra]
    broken = crop.fractures.labels
    codes = np.minimum(crop.labels.labels, LABEL_BITS).astype(np.uint8)
    codes |= np.where(np.isin(broken, own), OWN_FRACTURE, 0).astype(np.uint8)
    codes |= np.where((broken > 0) & ~np.isin(broken, own), OTHER_FRACTURE, 0).astype(np.uint8)
    return np.asarray(codes, dtype=np.uint8)


def _mimics(crop: VertebraCrop) -> list[bool]:
    kinds = {mimic.kind for mimic in crop.spec.mimics if mimic.vertebra == crop.vertebra}
    old = (f for f in crop.spec.fractures if f.vertebra == crop.vertebra and f.age is FractureAge.HEALED)
    if any(old):
        kinds.add(MimicKind.HEALED_FRACTURE)
    return [bool(kinds.intersection(group)) for group in MIMIC_GROUPS.values()]


__all__ = [
    "LABEL_BITS",
    "MIMICS",
    "MIMIC_GROUPS",
    "OTHER_FRACTURE",
    "OWN_FRACTURE",
    "TWIN_FRACTURE",
    "TYPES",
    "CropFile",
    "FirstPersons",
    "FractureCasePlan",
    "draw_person",
    "drawn_persons",
    "insert_own",
    "load_crops",
    "make_fracture_cases",
    "save_crops",
]
