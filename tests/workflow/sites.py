"""Sets of coded necks in the layout of RSNA 2022, every other one broken."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from cspine.datasets import RsnaCase, RsnaOptions, write_rsna
from cspine.dicom import StudyHeader
from cspine.domain import LabelMap
from cspine.phantom import Case
from tests.models.coded import broken_case, coded_case


def coded_study(number: int, *, broken: bool) -> Case:
    """Return a neck of blocks with noise of its own, its C4 broken or not."""
    volume, labels, truth = broken_case()[:3] if broken else coded_case()
    noise = np.random.default_rng(number).integers(-4, 5, volume.hu.shape)
    plate = np.where(volume.hu >= 2000, np.uint8(1), np.uint8(0))
    empty = LabelMap(volume.grid, np.zeros_like(labels.labels))
    hu = (volume.hu + noise).astype(np.int16)
    return Case(replace(volume, hu=hu), labels, truth, LabelMap(volume.grid, plate), empty)


def write_site(root: Path, count: int, options: RsnaOptions | None = None) -> None:
    """Write studies of as many patients; even ones are broken."""
    cases = [
        RsnaCase(
            f"study {k}",
            partial(coded_study, k, broken=k % 2 == 0),
            StudyHeader(patient_name=f"Phantom^{k}", patient_id=f"patient {k}", is_phantom=True),
        )
        for k in range(count)
    ]
    write_rsna(cases, root, options or RsnaOptions(segmented_share=0, islands=0, mixed_share=0))
