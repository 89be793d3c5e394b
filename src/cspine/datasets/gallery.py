"""A page of pictures under headings: previews of what options do. One HTML file that loads nothing."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from cspine import __version__

_TEMPLATES = Environment(
    loader=PackageLoader("cspine.datasets", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class GalleryPicture:
    """A PNG with what stands above and below it."""

    title: str
    caption: str
    png: bytes

    @property
    def uri(self) -> str:
        """For the page."""
        return "data:image/png;base64," + b64encode(self.png).decode("ascii")


def render_gallery(title: str, intro: str, pictures: Sequence[GalleryPicture]) -> bytes:
    """Return the page as UTF-8."""
    page = _TEMPLATES.get_template("gallery.html.jinja").render(
        title=title, intro=intro, pictures=pictures, footer=f"cspine {__version__} · research use, not a medical device"
    )
    return page.encode("utf-8", errors="replace")
