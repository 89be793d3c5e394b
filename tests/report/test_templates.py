"""Pages are made in one way: escaped, complete, and loading nothing."""

import base64

import pytest
from jinja2 import UndefinedError

from cspine.report import data_uri, templates_of


def test_values_are_escaped_and_missing_ones_are_an_error():
    page = templates_of("cspine.datasets").from_string("<p>{{ name }}</p>")
    assert page.render(name="<script>") == "<p>&lt;script&gt;</p>"
    with pytest.raises(UndefinedError):
        page.render()


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("cspine.report", "report.html.jinja"),
        ("cspine.datasets", "gallery.html.jinja"),
        ("cspine.datasets.audit", "audit.html.jinja"),
        ("cspine.datasets.explore", "explore.html.jinja"),
        ("cspine.datasets.phantom_gallery", "gallery.html.jinja"),
    ],
)
def test_the_templates_of_a_package_are_found(package: str, name: str):
    environment = templates_of(package)
    assert name in environment.list_templates()
    assert environment.autoescape


def test_a_picture_stands_in_the_page_itself():
    uri = data_uri(b"\x89PNG", "image/png")
    assert uri.startswith("data:image/png;base64,")
    assert base64.b64decode(uri.split(",")[1]) == b"\x89PNG"
