"""Resolve every dependency in a fresh environment and write `constraints.txt`.

Torch is pinned by hand, before the resolver may choose: an open range takes a build with gigabytes of CUDA.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TORCH = "torch==2.13.0"
HEADER = f"""\
# Every version that cspine is developed and tested with: core, extras and the developers' tools.
# Written by `make lock`. Used by the Makefile as `pip install --constraint constraints.txt …`.
# {TORCH} is pinned by hand: an open range takes the newest build, with gigabytes of CUDA.
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [f"{folder}/bin/python", "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--quiet", "--upgrade", "pip"], check=True)
        pinned = Path(folder, "pinned.txt")
        pinned.write_text(f"{TORCH}\n", encoding="utf-8")
        wanted = [
            "--editable",
            ".[train,onnxruntime,data,video,serve,postgres]",
            "--group",
            "dev",
            "--constraint",
            str(pinned),
        ]
        subprocess.run([*pip, "install", "--quiet", *wanted], cwd=ROOT, check=True)
        subprocess.run([*pip, "check"], check=True)
        frozen = subprocess.run(
            [*pip, "freeze", "--all", "--exclude-editable"], check=True, capture_output=True, text=True
        ).stdout
    # A local version ("+cpu") and a path ("@ file:") name one machine's copy of a release.
    pins = sorted({re.sub(r"\+[\w.]+$", "", line) for line in frozen.splitlines() if "==" in line}, key=str.lower)
    (ROOT / "constraints.txt").write_text(HEADER + "\n".join(pins) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
