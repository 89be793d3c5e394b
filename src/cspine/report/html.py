"""`report.html`: one self-contained page for the phone, the desk and one sheet of A4. No script, nothing loaded."""

from collections.abc import Mapping

from cspine.dicom.header import LoadedSeries
from cspine.domain import Analysis
from cspine.report.content import compose
from cspine.report.pictures import Picture
from cspine.report.templates import data_uri, templates_of

# Text beyond these lengths prints in the next smaller size, so that one sheet holds it without hiding a word.
DENSITY_CHARACTERS = (1100, 2200, 3600)


def _data_uri(picture: Picture) -> str:
    return data_uri(picture.png)


TEMPLATES = templates_of("cspine.report")
TEMPLATES.filters["data_uri"] = _data_uri


def render_html(analysis: Analysis, source: LoadedSeries, timings_s: Mapping[str, float]) -> bytes:
    """Return the page as UTF-8. Every value from a header is escaped."""
    content = compose(analysis, source, timings_s)
    density = sum(content.characters > limit for limit in DENSITY_CHARACTERS)
    page = TEMPLATES.get_template("report.html.jinja").render(c=content, density=density)
    return page.encode("utf-8", errors="replace")
