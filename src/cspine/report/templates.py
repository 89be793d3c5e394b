"""How every page is made from its template: escaped, and with an error where a value is missing."""

from base64 import b64encode

from jinja2 import Environment, PackageLoader, StrictUndefined


def templates_of(package: str) -> Environment:
    """Return the templates in the folder ``templates`` of a package, such as ``"cspine.report"``."""
    return Environment(
        loader=PackageLoader(package, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def data_uri(content: bytes, kind: str = "image/png") -> str:
    """Return a picture as a page holds it, so that it loads nothing."""
    return f"data:{kind};base64," + b64encode(content).decode("ascii")
