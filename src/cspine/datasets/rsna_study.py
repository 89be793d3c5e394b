"""Cases written as the RSNA 2022 data set has them, one at a time: a stream never holds more than one."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from cspine.datasets.claimed_folder import ClaimedFolder, move_all
from cspine.datasets.nifti import nifti_bytes, rsna_mask_bytes
from cspine.datasets.phantom_truth import phantom_header, spec_document
from cspine.datasets.rsna_layout import (
    MASKS,
    RSNA_PARTS,
    TRUTH,
    RsnaOptions,
    draw_study,
    split_of,
    with_islands,
    write_tables,
)
from cspine.datasets.rsna_sidecar import sidecar
from cspine.dicom import StudyHeader, derived_uid, write_ct_images
from cspine.phantom import Case, PhantomSpec, make_case

Said = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class RsnaCase:
    """A case to be written, made only when it is not there yet.

    Attributes
    ----------
    name
        Equal names are the same study.
    header
        Of its images; the UIDs are derived from the name.
    spec
        ``None`` when the case comes from no specification, as with fractures put into a real scan.
    """

    name: str
    make: Callable[[], Case]
    header: StudyHeader
    spec: PhantomSpec | None = None

    @classmethod
    def of_spec(cls, name: str, spec: PhantomSpec, threads: int = 4) -> "RsnaCase":
        """Return the case of a phantom."""
        return cls(name, partial(make_case, spec, threads), phantom_header(name, spec), spec)

    @property
    def uid(self) -> str:
        """StudyInstanceUID, the same in every run; another one for another specification."""
        spec = "" if self.spec is None else json.dumps(spec_document(self.spec), sort_keys=True)
        return derived_uid("rsna study", self.name, spec)


def write_rsna(
    cases: Iterable[RsnaCase],
    root: Path,
    options: RsnaOptions | None = None,
    said: Said = lambda name: None,
    *,
    overwrite: bool = False,
) -> list[str]:
    """Write cases in the layout of RSNA 2022, those that are there already left out, and return their UIDs in order.

    Parameters
    ----------
    root
        Must be new, empty, or written with equal options before.
    said
        Called with the name of a case before it is made.
    overwrite
        Throw away what was written there with other options first.

    Raises
    ------
    ConfigError
        The folder holds something else, or a specification is impossible.
    StoreError
        The folder cannot be written, or the disk is full; what is finished stays.
    """
    options = options or RsnaOptions()
    folder = ClaimedFolder(root, {"layout": "rsna", "rsna": options.document()}, RSNA_PARTS)
    folder.claim(overwrite)
    uids = []
    with folder.stage() as stage:
        for number, item in enumerate(cases):
            uids.append(item.uid)
            if not (root / images_place(item.uid, number, options)).exists():
                said(item.name)
                move_all(stage, root, write_rsna_study(item, item.make(), stage, number, options))
        write_tables(root, uids)
    return uids


def images_place(uid: str, number: int, options: RsnaOptions) -> str:
    """Return the folder of the images of a study relative to the root; it is there when the study is complete."""
    return f"{split_of(options, number).folder}/{uid}"


def write_rsna_study(item: RsnaCase, case: Case, stage: Path, number: int, options: RsnaOptions) -> list[str]:
    """Write the files of one study below `stage` and return their relative places, the images last.

    Parameters
    ----------
    number
        Of the study in its folder, 0 being the first.
    """
    uid = item.uid
    draw = draw_study(options, uid, number, case.volume.grid.shape)
    header = replace(item.header, study_instance_uid=uid, series_instance_uid=derived_uid("rsna series", uid))
    places = [f"{TRUTH}/{uid}.json"]
    mask = with_islands(case.labels, options.islands, draw.island_seed) if draw.segmented else None
    text = json.dumps(sidecar((item.name, uid), item.spec, case, draw, mask), indent=2) + "\n"
    _write(stage / places[0], text.encode())
    if mask is not None:
        places.append(f"{MASKS}/{uid}.nii")
        _write(stage / places[-1], rsna_mask_bytes(mask))
    for name, known, found in (
        ("fractures", case.truth.fractures, case.fractures),
        ("mimics", case.truth.mimics, case.mimics),
    ):
        if known:
            places.append(f"{TRUTH}/{uid}-{name}.nii.gz")
            _write(stage / places[-1], nifti_bytes(found.grid, found.labels))
    places.append(images_place(uid, number, options))
    write_ct_images(case.volume, stage / places[-1], draw.storage, header=header)
    return places


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
