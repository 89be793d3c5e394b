"""A page of pictures under headings: previews of what options do. One HTML file that loads nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from cspine import __version__
from cspine.report import data_uri, templates_of

_TEMPLATES = templates_of("cspine.datasets")


@dataclass(frozen=True)
class GalleryPicture:
    """A PNG with what stands above and below it."""

    title: str
    caption: str
    png: bytes

    @property
    def uri(self) -> str:
        """For the page."""
        return data_uri(self.png)


def render_gallery(title: str, intro: str, pictures: Sequence[GalleryPicture]) -> bytes:
    """Return the page as UTF-8."""
    page = _TEMPLATES.get_template("gallery.html.jinja").render(
        title=title, intro=intro, pictures=pictures, footer=f"cspine {__version__} · research use, not a medical device"
    )
    return page.encode("utf-8", errors="replace")
