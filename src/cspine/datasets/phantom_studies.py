"""Phantom studies on disk: what a scanner would send, and beside it what is true.

::

    root/plan.json                    what the folder holds
    root/studies/<name>/<n>.dcm       one study; or root/studies/<name>.nii.gz
    root/truth/<name>.json            specification, vertebrae in view, fractures
    root/truth/<name>-labels.nii.gz   C1 = 1 … T12 = 19
    root/truth/<name>-fractures.nii.gz, <name>-mimics.nii.gz   value k is the k-th of the list; where there are any

or, in the layout of RSNA 2022, the files of `cspine.datasets.rsna_layout`. A study appears when it is complete, last of
all its files, so a run that stopped goes on where it was.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cspine.datasets.claimed_folder import ClaimedFolder, move_all
from cspine.datasets.jobs import Report, run_jobs
from cspine.datasets.nifti import nifti_bytes
from cspine.datasets.phantom_plan import Layout, PhantomPlan
from cspine.datasets.phantom_truth import phantom_header, truth_document
from cspine.datasets.rsna_layout import RSNA_PARTS, write_tables
from cspine.datasets.rsna_study import RsnaCase, images_place, write_rsna_study
from cspine.dicom import write_ct_images
from cspine.domain import LabelMap
from cspine.phantom import Case, make_case

_PARTS = ("studies", *RSNA_PARTS)


def write_phantoms(
    plan: PhantomPlan, root: Path, report: Report, workers: int = 1, threads: int = 4, *, overwrite: bool = False
) -> list[Path]:
    """Write the studies of a plan that are not there yet, and return the places of all.

    Parameters
    ----------
    report
        Called with the name of a study and the share of all that is done.
    workers, threads
        Processes, and threads of each.
    overwrite
        Throw away phantoms of another plan in the folder first; nothing else is ever thrown away.

    Raises
    ------
    ConfigError
        The folder holds something else, or a specification is impossible.
    StoreError
        The folder cannot be written, or the disk is full.
    """
    folder = ClaimedFolder(root, plan.document(), _PARTS)
    folder.claim(overwrite)
    places = [root / _place(plan, number) for number in range(plan.studies)]
    missing = [number for number, place in enumerate(places) if not place.exists()]
    with folder.stage() as stage:
        jobs = [(plan.name(n), partial(_write_one, _Study(plan, n), root, stage, threads)) for n in missing]
        run_jobs(jobs, plan.studies - len(missing), workers, report)
        if plan.layout is Layout.RSNA:
            write_tables(root, [place.name for place in places])
    return places


@dataclass(frozen=True)
class _Study:
    """One study of a plan."""

    plan: PhantomPlan
    number: int

    @property
    def name(self) -> str:
        return self.plan.name(self.number)

    def rsna(self) -> RsnaCase:
        return RsnaCase.of_spec(self.name, self.plan.spec(self.number))


def _place(plan: PhantomPlan, number: int) -> str:
    """Return where a study goes, relative to the root; it is there when the study is complete."""
    if plan.layout is Layout.RSNA:
        return images_place(_Study(plan, number).rsna().uid, number, plan.rsna)
    return f"studies/{plan.name(number)}" + (".nii.gz" if plan.layout is Layout.NIFTI else "")


def _write_one(study: _Study, root: Path, stage: Path, threads: int) -> None:
    case = make_case(study.plan.spec(study.number), threads)
    move_all(stage, root, _WRITERS[study.plan.layout](study, case, stage))


def _write_dicom(study: _Study, case: Case, stage: Path) -> list[str]:
    spec, place = study.plan.spec(study.number), _place(study.plan, study.number)
    header = phantom_header(study.name, spec)
    storage = study.plan.storage(study.number)
    write_ct_images(case.volume, stage / place, storage, header=header, seed=spec.seed)
    return [*_write_truth(study, case, stage), place]


def _write_nifti(study: _Study, case: Case, stage: Path) -> list[str]:
    place = _place(study.plan, study.number)
    (stage / place).parent.mkdir(parents=True, exist_ok=True)
    (stage / place).write_bytes(nifti_bytes(case.volume.grid, case.volume.hu))
    return [*_write_truth(study, case, stage), place]


def _write_rsna(study: _Study, case: Case, stage: Path) -> list[str]:
    return write_rsna_study(study.rsna(), case, stage, study.number, study.plan.rsna)


def _write_truth(study: _Study, case: Case, stage: Path) -> list[str]:
    start = f"truth/{study.name}"
    document = json.dumps(truth_document(study.plan.spec(study.number), case.truth), indent=2) + "\n"
    contents = {f"{start}.json": document.encode(), f"{start}-labels.nii.gz": _packed(case.labels)}
    if case.truth.fractures:
        contents[f"{start}-fractures.nii.gz"] = _packed(case.fractures)
    if case.truth.mimics:
        contents[f"{start}-mimics.nii.gz"] = _packed(case.mimics)
    (stage / "truth").mkdir(exist_ok=True)
    for name, content in contents.items():
        (stage / name).write_bytes(content)
    return list(contents)


def _packed(labels: LabelMap) -> bytes:
    return nifti_bytes(labels.grid, labels.labels)


_WRITERS: Mapping[Layout, Callable[[_Study, Case, Path], list[str]]] = {
    Layout.DICOM: _write_dicom,
    Layout.NIFTI: _write_nifti,
    Layout.RSNA: _write_rsna,
}
