"""Make the cells that are not there yet and the page about all of them.

::

    DIR/gallery.html      one page that loads nothing
    DIR/cells/<hash>.*    picture and figures of a cell, by the hash of its specification: a run that stopped goes on
"""

import errno
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import groupby
from pathlib import Path

import numpy as np

from cspine.datasets.phantom_gallery.pictures import strip
from cspine.datasets.phantom_gallery.plan import FRACTURE, Cell, GalleryPlan, cells_of
from cspine.domain import Box, ConfigError, Rejected
from cspine.phantom import make_subject, scan_subject
from cspine.report import BONE, data_uri, templates_of

PAGE, CELLS = "gallery.html", "cells"
_FORMAT = 1  # of pictures and figures: cells of another format are made anew

Report = Callable[[str, float], None]

_TEMPLATES = templates_of("cspine.datasets.phantom_gallery")


@dataclass(frozen=True)
class Shown:
    """A cell as the page shows it."""

    cell: Cell
    jpeg: bytes
    size: tuple[int, int]
    caption: str

    @property
    def uri(self) -> str:
        """The picture as a data URI."""
        return data_uri(self.jpeg, "image/jpeg")


def write_gallery(plan: GalleryPlan, root: Path, report: Report, threads: int = 4) -> Path:
    """Write the page of a plan and return its path; cells made before are kept.

    Parameters
    ----------
    report
        Called with the name of a cell and the share of cells that is done.

    Raises
    ------
    ConfigError
        The folder holds something else, or the plan is impossible.
    StoreError
        The folder cannot be written.
    """
    cells = cells_of(plan)
    with _storing(root):
        _claim(root)
        shown = []
        for number, cell in enumerate(cells):
            report(f"{cell.name} {cell.vertebra.name} {cell.severity}", number / len(cells))
            shown.append(_made(cell, root / CELLS, threads))
        page = render_page(shown, plan)
        _write(root / PAGE, page.encode("utf-8"))
    return root / PAGE


def render_page(shown: list[Shown], plan: GalleryPlan) -> str:
    """Return the page as HTML."""
    rows = [(key, list(cells)) for key, cells in groupby(shown, lambda s: (s.cell.group, s.cell.name, s.cell.vertebra))]
    return _TEMPLATES.get_template("gallery.html.jinja").render(
        rows=rows, anatomy=Path(plan.anatomy).name, seed=plan.seed, window=BONE.text
    )


def cell_key(cell: Cell) -> str:
    """Return the name of a cell's files: a hash of its specification."""
    text = json.dumps([_FORMAT, cell.group, asdict(cell.spec)], default=str, sort_keys=True)
    return sha256(text.encode()).hexdigest()[:20]


def _made(cell: Cell, folder: Path, threads: int) -> Shown:
    """Return a cell from its files, made first if they are not there; the figures are written last."""
    picture, figures = (folder / f"{cell_key(cell)}.{suffix}" for suffix in ("jpg", "json"))
    if not figures.exists():
        jpeg, size, caption = _rendered(cell, threads)
        _write(picture, jpeg)
        _write(figures, json.dumps({"size": size, "caption": caption}).encode())
    known = json.loads(figures.read_text(encoding="utf-8"))
    width, height = known["size"]
    return Shown(cell, picture.read_bytes(), (width, height), known["caption"])


def _rendered(cell: Cell, threads: int) -> tuple[bytes, tuple[int, int], str]:
    case = scan_subject(make_subject(cell.spec), cell.spec, threads)
    labels = case.fractures if cell.group == FRACTURE else case.mimics
    mask = labels.labels > 0
    jpeg, size = strip(case.volume, mask, cell.group)
    return jpeg, size, _caption(mask, case.volume.grid.spacing_mm)


def _caption(mask: np.ndarray, spacing_mm: tuple[float, float, float]) -> str:
    """Return the extent of a mask in words."""
    box = Box.of_mask(mask)
    if box is None:
        return "nothing of it in this field"
    z, y, x = (n * s for n, s in zip(box.shape, spacing_mm, strict=True))
    volume = float(mask.sum()) * float(np.prod(spacing_mm))
    return f"{x:.0f} × {y:.0f} × {z:.0f} mm, mask {volume:.0f} mm³"


def _claim(root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    if not (root / CELLS).is_dir():
        if any(root.iterdir()):
            raise ConfigError(f"{root}: is not empty and holds no gallery; use another folder")
        (root / CELLS).mkdir()


def _write(path: Path, content: bytes) -> None:
    """Write a file that appears when it is complete."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)


@contextmanager
def _storing(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        code = errno.errorcode.get(error.errno or 0, "")
        raise Rejected(f"{root}: {reason}; finished cells stay, run again to go on", code) from error


__all__ = ["Shown", "cell_key", "render_page", "write_gallery"]
