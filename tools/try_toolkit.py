"""Every command of the data toolkit on one folder of phantoms, as a user types them, with what each costs.

    python -m tools.try_toolkit ROOT OUT [--workers 2] [--prepared 20]

ROOT is a folder of `cspine phantom make --layout rsna`; OUT gets whatever the commands write. Then the tables of the
exploration and of the audit are compared with what the generator wrote down, and leaks are seeded into a copy of the
set and looked for. Prints Markdown; ends with 1 when a command fails, a number differs, a leak is missed, or a clean
study raises an alarm.
"""

import argparse
import csv
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tools.commands import timed
from tools.generator_truth import TARGETS, Truth, is_hidden
from tools.seed_leaks import TWIN, Seeded, seed_leaks
from tools.toolkit_truth import UID, compare


@dataclass(frozen=True)
class Ran:
    """A command that ran."""

    words: str
    code: int
    seconds: float
    processor_s: float
    said: str


def run(*words: object) -> Ran:
    """Run `cspine` with these words and take its time, that of its children included."""
    given = [str(word) for word in words]
    done, seconds, spent = timed(given)
    said = (done.stdout if done.returncode in (0, 3) else done.stdout + done.stderr).strip()
    ran = Ran(" ".join(given), done.returncode, seconds, spent, said)
    print(f"\n`cspine {ran.words}` → {ran.code}, {ran.seconds:.0f} s, {spent:.0f} s of processor time\n")
    print("\n".join(f"    {line[:200]}" for line in said.splitlines()[-12:]), flush=True)
    return ran


def probabilities(root: Path, out: Path, part: str) -> Path:
    """Write made-up probabilities of the studies of one part: the prevalence of each target of the training part."""
    shares = Truth.of(root).labels.mean(axis=0)
    read = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((root / "truth").glob("*.json"))]
    path = out / f"prevalence-{part}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow([UID, *TARGETS])
        rows.writerows([r["study_uid"], *shares.round(4)] for r in read if r["rsna"]["split"] == part)
    return path


def use(root: Path, out: Path, workers: int, prepared: int) -> list[Ran]:
    """Run the commands one after the other."""
    some = ("--workers", workers)
    first = sorted(path.name for path in (root / "segmentations").glob("*.nii"))[0].removesuffix(".nii")
    small = _part(root, out / "part", prepared)
    ran = [
        run("data", "index", root, *some),
        run("data", "index", root, *some),
        run("data", "filter", root, "--preset", "efficientnet-c1", "--out", out / "paper"),
        run("data", "filter", root, "--rule", "usable=yes", "--rule", "slices=..60", "--out", out / "short"),
    ]
    for scheme in ("80/10/10", "90/5/5", "90/10", "80/20", "5-fold"):
        ran.append(run("data", "split", root, "--scheme", scheme, "--out", out / f"{scheme.replace('/', '-')}.json"))
    split = out / "80-10-10.json"
    by_image = out / "by-image.json"
    ran += [
        run("data", "split", root, "--by", "image", "--scheme", "80/20", "--out", by_image),
        run("data", "check-leaks", root, split, *some),
        run("data", "check-leaks", root, "--out", out / "everything.json", *some),
        run("data", "explore", root, "--out", out / "exploration", "--slice-groups", "40,50,60", *some),
        run("data", "audit", root, "--out", out / "audit", *some),
        run("data", "prepare", root, "--out", out / "prepared", "--dry-run", *some),
        run("data", "prepare", small, "--out", out / "prepared", *some),
        run("data", "images", small, "--out", out / "images", "--enhance", "clahe", "--least-contrast", 0.35, *some),
        run("data", "images", small, "--out", out / "by-study", "--layout", "studies", "--format", "png", *some),
        run("data", "folder", out / "images", "--out", out / "pictures.csv"),
        run("data", "check-leaks", out / "images", "--pictures", "--out", out / "pictures.leaks.json"),
        run("data", "augment", out / "images", "--out", out / "augmented"),
        run("data", "video", root / "train_images" / first, "--out", out / "films", "--format", "gif,mp4,webm"),
    ]
    for part in ("train", "test"):
        table, answer = probabilities(root, out, part), out / f"submission-{part}.csv"
        rest = ("--root", root) if part == "test" else ()
        ran.append(run("data", "submission", table, "--out", answer, *rest))
    answer = out / "submission-train.csv"
    score = ("evaluate", "--metric", "rsna", "--labels", root / "train.csv", "--submission", answer)
    return [*ran, run(*score), run(*score, "--split", split), run(*score, "--split", by_image)]


def _part(root: Path, out: Path, studies: int) -> Path:
    """Return a set of the first studies with a mask, as links, so that what writes much does not write it of all."""
    shutil.rmtree(out, ignore_errors=True)
    uids = sorted(path.name.removesuffix(".nii") for path in (root / "segmentations").glob("*.nii"))[:studies]
    for name in ("train_images", "segmentations"):
        (out / name).mkdir(parents=True)
    for uid in uids:
        (out / "train_images" / uid).symlink_to((root / "train_images" / uid).resolve())
        (out / "segmentations" / f"{uid}.nii").symlink_to((root / "segmentations" / f"{uid}.nii").resolve())
    for name in ("train.csv", "train_bounding_boxes.csv"):
        head, *rows = (root / name).read_text(encoding="utf-8").splitlines()
        kept = [row for row in rows if row.split(",")[0] in uids]
        (out / name).write_text("\n".join([head, *kept]) + "\n", encoding="utf-8")
    return out


def audited(root: Path, audit: Path) -> tuple[str, bool]:
    """Compare the islands that the audit names with those of the generator.

    A hidden island is no mistake that could be seen.
    """
    truth = Truth.of(root)
    seeded, pieces = set(), set()
    for uid, record in truth.masked.items():
        pieces |= {(uid, level["vertebra"]) for level in record["levels"] if level["pieces"] > 1}
        for island in record["islands"]:
            if not island["touches"] and not is_hidden(island, record):
                seeded.add((uid, island["vertebra"]))
    with (audit / "audit.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    named = {(row["study"], row["level"]) for row in rows if row["kind"] == "mask with islands"}
    islands = {(uid, island["vertebra"]) for uid, record in truth.masked.items() for island in record["islands"]}
    false = named - islands - pieces
    rest = {kind: sum(row["kind"] == kind for row in rows) for kind in sorted({row["kind"] for row in rows})}
    text = (
        f"levels with islands: {len(named)} named, {len(seeded - named)} of {len(seeded)} seeded ones missed, "
        f"{len(named & pieces - islands)} in pieces without an island, {len(false)} for no reason; all: {rest}"
    )
    return text, not seeded - named and not false


def found(seeded: Sequence[Seeded], report: Path) -> tuple[list[str], bool]:
    """Return a line for each way of copying, how many of its copies a leak check found, and whether it was all."""
    leaks = json.loads(report.read_text(encoding="utf-8"))["leaks"]
    pairs = {frozenset((leak["one"], leak["other"])) for leak in leaks}
    lines = []
    for how in dict.fromkeys(one.how for one in seeded):
        mine = [one for one in seeded if one.how == how]
        lines.append(f"| {how} | {len(mine)} | {sum(frozenset((m.one, m.other)) in pairs for m in mine)} |")
    known = {frozenset((one.one, one.other)) for one in seeded}
    holds: dict[str, set[str]] = {uid: {uid} for pair in pairs | known for uid in pair}
    for one in seeded:  # a study with a copy, or a twin, has slices of the study that it was copied from
        holds[one.other].add(one.one)
    twins = {one.other: one.one for one in seeded if one.how == TWIN}
    shared = {uid: {twins.get(source, source) for source in sources} for uid, sources in holds.items()}
    false = {pair for pair in pairs if not set.intersection(*(shared[uid] for uid in pair))}
    lines.append(
        f"| further pairs that share slices of a third study or of a twin | – | {len(pairs - known - false)} |"
    )
    lines.append(f"| pairs of studies with nothing copied that were named | – | {len(false)} |")
    return lines, known <= pairs and not false


def main() -> int:
    """Run everything and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--prepared", type=int, default=20, help="studies that prepare and images write")
    options = parser.parse_args()
    root, out = options.root, options.out
    out.mkdir(parents=True, exist_ok=True)
    ran = use(root, out, options.workers, options.prepared)
    good = all(one.code == 0 for one in ran)
    print("\n| figure | it says | compared | wrong |\n|---|---|---|---|")
    lines = compare(root, out / "exploration")
    for line in lines:
        print(f"| {line.figure} | {line.said} | {line.compared} | {len(line.wrong)} |")
    print("\n".join(f"! {line.figure}: {text}" for line in lines for text in line.wrong[:5]))
    text, right = audited(root, out / "audit")
    print(f"\naudit: {text}")
    copy = out / "seeded"
    seeded = seed_leaks(root, copy, np.random.default_rng(0))
    run("data", "index", copy, "--workers", options.workers)
    run("data", "check-leaks", copy, "--out", out / "seeded.json", "--workers", options.workers)
    rows, all_found = found(seeded, out / "seeded.json")
    print("\n| copied | n | found |\n|---|---|---|")
    print("\n".join(rows))
    return int(not (good and right and all_found and not any(line.wrong for line in lines)))


if __name__ == "__main__":
    sys.exit(main())
