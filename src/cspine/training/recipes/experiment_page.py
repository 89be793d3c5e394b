"""The page of an experiment: one HTML file that loads nothing, and each of its tables as CSV.

A table is written once, as values: the page shows what the CSV holds.
"""

import base64
import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from cspine import __version__
from cspine.dicom import write_atomically
from cspine.evaluation import Estimate

Cell = Estimate | float | int | str | None
_TEMPLATES = Environment(
    loader=PackageLoader("cspine.training.recipes", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class PageTable:
    """A table of the page and a file beside it.

    Attributes
    ----------
    name
        Of the CSV file, without ``.csv``.
    rows
        One value per column. An `Estimate` is three columns of the file: value, low, high.
    paper
        Columns that hold what the publication printed.
    shown
        Whether the page shows it, or only names the file.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    paper: frozenset[str] = frozenset()
    shown: bool = True

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.columns) for row in self.rows), self.name

    @property
    def texts(self) -> list[list[str]]:
        """Return what the page shows of each row."""
        return [[_text(value) for value in row] for row in self.rows]

    def csv(self) -> bytes:
        """Return the file."""
        wide = [any(isinstance(row[k], Estimate) for row in self.rows) for k in range(len(self.columns))]
        head: list[object] = []
        for name, three in zip(self.columns, wide, strict=True):
            head += [name, f"{name}_low", f"{name}_high"] if three else [name]
        out = io.StringIO()
        lines = csv.writer(out, lineterminator="\n")
        lines.writerow(head)
        for row in self.rows:
            cells: list[object] = []
            for value, three in zip(row, wide, strict=True):
                cells += _cells(value, three)
            lines.writerow(cells)
        return out.getvalue().encode()


@dataclass(frozen=True)
class PagePicture:
    """A picture or film within the page; `media` as in ``image/svg+xml``, ``image/png`` or ``video/mp4``."""

    content: bytes
    media: str
    alt: str
    caption: str = ""

    @property
    def is_film(self) -> bool:
        """Return whether it moves and is no picture to a browser."""
        return self.media.startswith("video/")

    @property
    def uri(self) -> str:
        """Return the content as an address."""
        return f"data:{self.media};base64,{base64.b64encode(self.content).decode('ascii')}"


@dataclass(frozen=True)
class PageSection:
    """A part of the page, in this order: text, tables, pictures."""

    title: str
    text: tuple[str, ...] = ()
    tables: tuple[PageTable, ...] = ()
    pictures: tuple[PagePicture, ...] = ()


@dataclass(frozen=True)
class PageOrigin:
    """What the reader must know before any figure.

    Attributes
    ----------
    data
        Where the images come from; phantoms are said to be phantoms.
    split
        How the parts were made.
    warnings
        What makes the figures untrustworthy.
    command
        What was typed.
    """

    data: str
    split: str
    warnings: tuple[str, ...] = ()
    command: str = ""


@dataclass(frozen=True)
class ExperimentPage:
    """All of it.

    Attributes
    ----------
    question
        What was asked; the heading.
    lead
        Publication, and what was done.
    facts
        Counts, sizes, epochs, start, seed, one line each.
    """

    name: str
    question: str
    lead: str
    origin: PageOrigin
    facts: tuple[str, ...]
    sections: tuple[PageSection, ...] = field(default=())

    @property
    def files(self) -> tuple[str, ...]:
        """Return the names of the CSV files."""
        return tuple(f"{table.name}.csv" for section in self.sections for table in section.tables)


def write_experiment(page: ExperimentPage, out: Path) -> Path:
    """Write ``index.html`` and a CSV per table; return the page.

    Raises
    ------
    StoreError
        The folder cannot be written, or the disk is full.
    """
    for section in page.sections:
        for table in section.tables:
            write_atomically(out / f"{table.name}.csv", table.csv())
    html = _TEMPLATES.get_template("experiment.html.jinja").render(page=page, version=__version__)
    write_atomically(out / "index.html", html.encode())
    return out / "index.html"


def _text(value: Cell) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, Estimate):
        if math.isnan(value.value):
            return "–"
        if math.isnan(value.low):
            return f"{value.value:.3f}"
        return f"{value.value:.3f} ({value.low:.3f}–{value.high:.3f})"
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else value


def _cells(value: Cell, three: bool) -> Sequence[object]:
    if isinstance(value, Estimate):
        return (value.value, value.low, value.high)
    plain = "" if value is None else value
    return (plain, "", "") if three else (plain,)
