"""Open a study of 300 slices of 512 × 512 in the viewer, in a real browser, and say how long it takes.

Run as ``python -m benchmarks.bench_viewer [--times 5]``. The service and the browser are on this machine; there is no
graphics card, so axial slices are shown: once by a browser without WebGL, once by one that emulates a graphics card
(SwiftShader). The study is a PHANTOM of coded blocks.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

from cspine.datasets import plain_nifti_bytes
from cspine.domain import Grid
from cspine.service import Role
from tests.service.browser import launched, opened, running
from tests.service.builders import PASSWORD, Place, make_place, neck

SHAPE = (300, 512, 512)
SPACING_MM = (0.5, 0.25, 0.25)
STEPS = 60
GOAL_S = 3.0


def _repeated(small: np.ndarray) -> np.ndarray:
    """Return an array of `SHAPE` that holds a small one, each voxel several times, the rest cut off."""
    index = [np.minimum(np.arange(n) * m // n, m - 1) for n, m in zip(SHAPE, small.shape, strict=True)]
    return small[np.ix_(*index)]


def _write(folder: Path) -> Path:
    volume = neck()[0]
    corner = volume.grid.to_world(np.zeros(3))
    extent = [n * s for n, s in zip(volume.grid.shape, volume.grid.spacing_mm, strict=True)]
    spacing = (extent[0] / SHAPE[0], extent[1] / SHAPE[1], extent[2] / SHAPE[2])
    grid = Grid.from_axes(SHAPE, spacing, (float(corner[0]), float(corner[1]), float(corner[2])))
    folder.mkdir()
    (folder / "study.nii").write_bytes(plain_nifti_bytes(grid, _repeated(volume.hu)))
    return folder


def _memory_mib() -> float:
    """Return what the browser's processes hold together, shared pages counted once."""
    return (
        sum(_pss_kb(pid) for pid in _below(os.getpid()) if b"chrom" in Path(f"/proc/{pid}/cmdline").read_bytes()) / 1024
    )


def _below(pid: int) -> list[int]:
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            found += [child, *_below(child)]
    return found


def _pss_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def _open_s(page: Page, study: str) -> float:
    began = time.monotonic()
    page.goto(f"/studies/{study}")
    page.wait_for_selector("#stage[data-ready=yes]")
    return time.monotonic() - began


def _step_ms(page: Page) -> tuple[float, float]:
    """Return median and 95th percentile of the time from a key to the next slice on the screen, ms."""
    took = page.evaluate(
        """async (steps) => {
          const times = [];
          const frame = () => new Promise(requestAnimationFrame);
          const place = document.getElementById("place");
          const down = { key: "ArrowDown", bubbles: true, cancelable: true };
          for (let k = 0; k < steps; k += 1) {
            const [began, before] = [performance.now(), place.textContent];
            document.body.dispatchEvent(new KeyboardEvent("keydown", down));
            while (place.textContent === before) await frame();
            times.push(performance.now() - began);
          }
          return times;
        }""",
        STEPS,
    )
    return float(np.median(took)), float(np.percentile(took, 95))


def _study(place: Place, folder: Path) -> str:
    place.parts.spool.take_folder(_write(folder), "benchmark")
    place.work()
    (row,) = place.parts.book.worklist()
    if row["state"] != "done":
        raise SystemExit(f"the study is {row['state']}: {row['error']}")
    return str(row["id"])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--times", type=int, default=5)
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory() as name:
        place = make_place(Path(name))
        place.parts.queue._clock = place.parts.spool._clock = place.parts.book._clock = time.time
        study = _study(place, Path(name) / "in")
        place.accounts.add("ann", Role.ADMIN, PASSWORD)
        with running(place) as address, sync_playwright() as playwright:
            for kind, webgl in (("without WebGL", False), ("SwiftShader", True)):
                browser = launched(playwright, str(shutil.which("chromium")), webgl=webgl)
                page, trouble = opened(browser, address)
                shape = " × ".join(map(str, SHAPE))
                figures = _figures(page, study, times)
                sys.stdout.write(f"{shape}, PHANTOM, {kind}, load {os.getloadavg()[0]:.1f}: {figures}\n")
                if trouble:
                    raise SystemExit(f"trouble in the page: {trouble}")
                browser.close()


def _figures(page: Page, study: str, times: int) -> str:
    page.goto("/login")
    page.fill("#name", "ann")
    page.fill("#password", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_selector("#drop:not([hidden])")
    taken = sorted(_open_s(page, study) for _ in range(times))
    step, slow_step = _step_ms(page)
    return (
        f"opened in {statistics.median(taken):.2f} s median of {times} ({taken[0]:.2f}–{taken[-1]:.2f}; "
        f"goal {GOAL_S:g} s); a step takes {step:.0f} ms median of {STEPS} (p95 {slow_step:.0f}); "
        f"the browser holds {_memory_mib():.0f} MiB"
    )


if __name__ == "__main__":
    main()
