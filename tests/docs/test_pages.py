"""The pages of the repository hang together, and agree with what they describe."""

import re
import tomllib

from cspine import __version__
from tests.docs.pages import PAGES, ROOT, name_of


def test_every_page_of_the_documentation_is_reachable_from_the_contents():
    contents = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    decisions = (ROOT / "docs" / "decisions" / "index.md").read_text(encoding="utf-8")
    pages = [page.relative_to(ROOT / "docs") for page in PAGES if page.is_relative_to(ROOT / "docs")]
    unreachable = [p.as_posix() for p in pages if p.as_posix() not in contents and f"]({p.name})" not in decisions]
    assert unreachable == []


def test_every_decision_says_why_what_follows_and_what_else_was_possible():
    decided = [page for page in PAGES if re.match(r"docs/decisions/\d{4}-", name_of(page))]
    assert [page.name[:4] for page in decided] == [f"{n:04d}" for n in range(1, len(decided) + 1)]
    for page in decided:
        text = page.read_text(encoding="utf-8")
        for part in ("**Context.**", "**Decision.**", "**Consequences.**", "**Alternatives.**"):
            assert part in text, f"{page.name} has no {part}"


def test_the_readme_says_what_it_is_not():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "Not a medical device" in readme
    assert (ROOT / "docs" / "images" / "report.png").is_file()


def test_every_picture_of_the_pages_exists():
    missing = [
        f"{name_of(page)}: {target}"
        for page in PAGES
        for target in re.findall(r"!\[[^\]]*\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).is_file()
    ]
    assert missing == []


def test_the_citation_and_the_package_name_the_same_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    cited = re.search(r"^version: (.+)$", citation, re.MULTILINE)
    assert cited is not None
    assert __version__.split(".dev")[0] == cited[1]


def test_every_pin_is_exact_and_torch_is_the_one_chosen_by_hand():
    lines = [
        line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if not line.startswith("#")
    ]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    assert "torch==2.13.0" in lines


def test_every_dependency_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = [
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ]
    wanted = {re.split(r"[\[<>=~ ;]", need)[0].lower() for group in groups for need in group}
    pinned = {line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()}
    assert wanted - pinned == set()
