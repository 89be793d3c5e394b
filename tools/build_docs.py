"""Build the documentation; fail on any warning, and on a broken link in the pages outside `docs/`."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\]\((?!https?://|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")


def broken_links() -> list[str]:
    """Return the relative links of the pages in the repository's root that lead nowhere."""
    return [
        f"{page.name} links to {target}, which does not exist"
        for page in sorted(ROOT.glob("*.md"))
        for target, _ in LINK.findall(page.read_text(encoding="utf-8"))
        if not (ROOT / target).exists()
    ]


def main() -> None:
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--clean"]
    built = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    problems = broken_links()
    sys.stderr.writelines(f"{problem}\n" for problem in problems)
    if built.returncode or problems:
        sys.exit(1)
    print("documentation: build/docs/index.html")


if __name__ == "__main__":
    main()
