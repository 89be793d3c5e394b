"""What each command says and does, run as a user runs it."""

import json
import os
import pty
import shutil
import signal
import subprocess
import time
from dataclasses import replace

import pytest

from cspine.cli.detect import DEFAULT_FORMATS
from cspine.datasets import acceptance_studies
from cspine.models import load_bundle
from cspine.report import parse_findings
from tests.cli.programs import PROGRAM, called, cspine, files_below
from tests.datasets.coded_fractures import coded_with_fractures
from tests.models.coded import coded_bundle
from tests.workflow.oracle import coded_phantom, write_coded, write_slab


def test_help_names_every_command():
    said = cspine("--help")
    assert said.code == 0
    for command in ("detect", "demo", "info", "bundle", "phantom", "train"):
        assert f"\n  {command} " in said.out


@pytest.mark.parametrize(
    "arguments",
    [["detect"], ["no-such-command"], ["detect", "x", "--no-such-option"], ["detect", "x", "--threads", "0"]],
    ids=["no input", "command", "option", "threads"],
)
def test_wrong_usage_ends_with_two(arguments):
    said = called(*arguments)
    assert said.code == 2
    assert said.out == ""
    assert "Usage: " in said.err


def test_version_is_that_of_the_package():
    from cspine import __version__  # noqa: PLC0415  # this test alone

    assert called("--version").out == f"cspine {__version__}\n"


def test_info_says_what_is_installed():
    said = called("info", "--json")
    assert said.code == 0
    assert said.document["threads"] >= 1
    assert said.document["engines"]["openvino"]
    assert called("info").out.startswith("cspine ")


def test_bundle_show_tells_identity_and_graphs(bundle):
    said = called("bundle", "show", bundle)
    assert said.code == 0
    assert load_bundle(bundle).id in said.out
    assert "coarse: ct (1, 1, *, *, *) → seg (1, 12, *, *, *), heat (1, 9, *, *, *)" in said.out
    assert called("bundle", "show", bundle, "--json").document["id"] == load_bundle(bundle).id


def test_bundle_verify_refuses_a_flipped_bit(bundle, tmp_path):
    assert called("bundle", "verify", bundle).code == 0
    for path in bundle.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    data = bytearray((tmp_path / "coarse.onnx").read_bytes())
    data[100] ^= 1
    (tmp_path / "coarse.onnx").write_bytes(data)
    said = called("bundle", "verify", tmp_path)
    assert said.code == 4
    assert "coarse.onnx: expected SHA-256" in said.err


def test_detect_writes_findings_and_report_and_prints_the_seven(study, bundle, tmp_path):
    said = called("detect", study, "--bundle", bundle, "--out", tmp_path / "out")
    assert (said.code, said.err) == (0, "")
    assert files_below(tmp_path / "out") == ["findings.json", "report.html"]
    for level in ("C1", "C2", "C3", "C4", "C5", "C6", "C7"):
        assert f"\n {level} " in said.out
    assert str(tmp_path / "out" / "report.html") in said.out
    findings = parse_findings((tmp_path / "out" / "findings.json").read_bytes())
    assert [f.visible_fraction for f in findings.vertebrae] == [1.0] * 7


def test_detect_writes_into_a_named_folder_by_default(study, bundle, tmp_path):
    assert called("detect", study, "--bundle", bundle, "--format", "json", cwd=tmp_path).code == 0
    assert files_below(tmp_path) == ["cspine-results/findings.json"]
    assert DEFAULT_FORMATS == ("json,html",)


def test_formats_are_taken_from_lists_and_repeats(study, bundle, tmp_path):
    said = called("detect", study, "--bundle", bundle, "-o", tmp_path, "-f", "JSON,pdf", "-f", "html", "-f", "json")
    assert said.code == 0
    assert files_below(tmp_path) == ["findings.json", "report.html", "report.pdf"]
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF-")


def test_both_engines_say_the_same(study, bundle, tmp_path):
    pytest.importorskip("onnxruntime")
    said = [
        called("detect", study, "--bundle", bundle, "-o", tmp_path / engine, "--engine", engine, "--json").document
        for engine in ("openvino", "onnxruntime")
    ]
    first, second = (document["studies"][0]["findings"]["vertebrae"] for document in said)
    for one, other in zip(first, second, strict=True):
        assert one["decision"] == other["decision"]
        assert one["center_lps_mm"] == pytest.approx(other["center_lps_mm"], abs=2.5)


def test_json_prints_one_document_and_nothing_else(study, bundle, tmp_path):
    said = cspine("detect", study, "--bundle", bundle, "--out", tmp_path, "--json")
    assert said.err == ""
    assert said.document["exit_code"] == said.code == 0
    (only,) = said.document["studies"]
    assert only["name"] == "2.25.11"
    assert only["error"] is None
    assert [v["vertebra"] for v in only["findings"]["vertebrae"]] == ["C1", "C2", "C3", "C4", "C5", "C6", "C7"]
    assert sorted(only["files"]) == [str(tmp_path / "findings.json"), str(tmp_path / "report.html")]
    assert json.loads((tmp_path / "findings.json").read_text())["vertebrae"] == only["findings"]["vertebrae"]


def test_several_studies_are_all_done_and_one_refusal_gives_six(bundle, tmp_path):
    write_coded(tmp_path / "in" / "a", "2.25.11")
    write_slab(tmp_path / "in" / "b", "2.25.12")
    write_coded(tmp_path / "in" / "c", "2.25.13")
    said = called("detect", tmp_path / "in", "--bundle", bundle, "-o", tmp_path / "out", "-f", "json", "--json")
    assert said.code == said.document["exit_code"] == 6
    assert files_below(tmp_path / "out") == ["2.25.11/findings.json", "2.25.13/findings.json"]
    errors = [one["error"] and one["error"]["kind"] for one in said.document["studies"]]
    assert errors == [None, "OutOfScope", None]


def test_demo_says_that_the_answer_is_right_and_where_the_report_is(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr("cspine.workflow.demo.make_case", coded_phantom)
    said = called("demo", "--out", tmp_path, "--bundle", bundle)
    assert said.code == 0, said.err
    assert said.out.endswith("The answer is right.\n")
    assert str(tmp_path / "result" / "report.html") in said.out
    assert "phantom" in said.out


def test_phantom_make_writes_studies_and_truth(tmp_path, monkeypatch):
    monkeypatch.setattr("cspine.datasets.phantom_studies.make_case", coded_phantom)
    said = called("phantom", "make", "-o", tmp_path / "made", "-n", 2, "--seed", 3, "--layout", "nifti")
    assert said.code == 0, said.err
    assert said.out.startswith("2 studies in ")
    assert [p.name for p in sorted((tmp_path / "made" / "studies").iterdir())] == [
        "phantom-3-00000.nii.gz",
        "phantom-3-00001.nii.gz",
    ]
    assert called("phantom", "make", "-o", tmp_path / "made", "--layout", "bids").code == 2


def test_phantom_make_writes_the_layout_of_rsna_and_replaces_it_when_asked(tmp_path, monkeypatch):
    monkeypatch.setattr("cspine.datasets.phantom_studies.make_case", coded_with_fractures)
    wish = ["phantom", "make", "-o", tmp_path / "made", "-n", 1, "--layout", "rsna", "--size", "small"]
    said = called(*wish, "--fracture", "burst@C5:4", "--fracture", "dens-ii@C2", "--masks", 1)
    assert said.code == 0, said.err
    lines = (tmp_path / "made" / "train.csv").read_text().splitlines()
    assert lines[1].endswith(",1,0,1,0,0,1,0,0")
    assert len(list((tmp_path / "made" / "segmentations").iterdir())) == 1
    other = called(*wish, "--fracture", "none")
    assert other.code == 2
    assert "--overwrite to replace them" in other.err
    assert called(*wish, "--fracture", "none", "--overwrite").code == 0
    assert (tmp_path / "made" / "train.csv").read_text().splitlines()[1].endswith(",0,0,0,0,0,0,0,0")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fracture", "dens-ii@C5"], "there is no dens-ii fracture at C5: it exists at C2"),
        (["--fracture", "burst"], "unknown level ''"),
        (["--size", "huge"], "unknown size 'huge'; known are full, small"),
        (["--family", "Z"], "unknown family 'Z'"),
        (["--masks", "2"], "segmented_share is 2.0, must be 0 … 1"),
    ],
)
def test_impossible_phantoms_are_refused_by_name_before_anything_is_written(tmp_path, options, message):
    said = called("phantom", "make", "-o", tmp_path / "made", *options)
    assert said.code == 2
    assert message in said.err
    assert not (tmp_path / "made").exists()


def test_an_acceptance_test_passes_or_ends_with_eight_and_leaves_a_record(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr("cspine.datasets.acceptance_suite.acceptance_studies", two_studies)
    monkeypatch.setattr("cspine.datasets.acceptance_suite.make_case", coded_phantom)
    suite, out = tmp_path / "suite", tmp_path / "record"
    said = called("phantom", "acceptance", "-o", suite)
    assert said.code == 0, said.err
    assert said.out == f"2 studies in {suite}; next: cspine acceptance {suite}\n"
    wish = ["acceptance", suite, "--bundle", bundle, "-o", out, "--date", "2026-01-31"]
    said = called(*wish)
    assert "is refused" in said.out
    assert said.code == 8
    assert said.out.endswith("Not passed: 2 pass, 1 fail, 1 not applicable.\n")
    record = json.loads((out / "acceptance.json").read_text())
    assert (record["date"], record["model"]["id"]) == ("2026-01-31", load_bundle(bundle).id)
    assert "Not passed" in (out / "acceptance.html").read_text()
    assert called(*wish, "--json").document == record
    shutil.rmtree(suite)
    monkeypatch.setattr("cspine.datasets.acceptance_suite.acceptance_studies", lambda: two_studies()[:1])
    assert called("phantom", "acceptance", "-o", suite).code == 0
    assert called(*wish).code == 0


def two_studies():
    """Return a neck, and the same neck with the wrong claim that it must be refused."""
    neck = next(study for study in acceptance_studies() if study.name == "plain")
    return neck, replace(neck, name="no-neck", refused_as=("OutOfScope",))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere"], 7, "write a suite with `cspine phantom acceptance --out nowhere`"),
        (["nowhere", "--date", "yesterday"], 2, "--date is 'yesterday', must be a date such as 2026-01-31"),
    ],
)
def test_an_impossible_acceptance_test_is_refused_by_name(tmp_path, arguments, code, message):
    said = called("acceptance", *arguments, cwd=tmp_path)
    assert said.code == code
    assert message in said.err
    assert list(tmp_path.iterdir()) == []


def test_verbose_prints_seconds_per_stage(study, bundle, tmp_path):
    said = called("detect", study, "--bundle", bundle, "-o", tmp_path, "-f", "json", "-v")
    assert "seconds: read " in said.out


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--format", "docx"], 2, "unknown format 'docx'"),
        (["--engine", "tensorrt"], 2, "unknown engine 'tensorrt'; known are openvino, onnxruntime"),
        (["--precision", "int4"], 2, "unknown precision 'int4'; known are f32, bf16"),
        (["--bundle", "nowhere"], 4, "nowhere: no such folder"),
        (["--series", "1.2.3"], 3, "has no series 1.2.3; it has 2.25.11.1"),
    ],
    ids=["format", "engine", "precision", "bundle", "series"],
)
def test_an_impossible_wish_is_refused_by_name(study, bundle, tmp_path, options, code, message):
    given = options if "--bundle" in options else [*options, "--bundle", str(bundle)]
    said = called("detect", study, "-o", tmp_path / "out", *given)
    assert said.code == code
    assert message in said.err
    assert not (tmp_path / "out").exists()


def test_training_without_torch_says_how_to_install_it(tmp_path):
    code = (
        "import sys, importlib.util as u; real = u.find_spec;"
        "u.find_spec = lambda name, *a: None if name == 'torch' else real(name, *a);"
        "from cspine.cli.main import app; app()"
    )
    command = [PROGRAM[0], "-c", code, "train", "vertebrae", "--run", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'cspine[train]'" in done.stderr
    assert not (tmp_path / "run").exists()


def test_training_on_no_anatomy_is_refused_before_anything_is_made(tmp_path):
    said = called("train", "vertebrae", "--run", tmp_path / "run", "--meshes-only")
    assert said.code == 2
    assert "no anatomy is left to train on" in said.err
    assert not (tmp_path / "run").exists()


def test_the_recipe_for_a_gpu_begins_from_a_bundle_and_says_what_it_lacks_before_anything_is_drawn(tmp_path):
    bare = coded_bundle(tmp_path / "bare")
    said = called("train", "fractures", "--gpu", "--run", tmp_path / "run", "--bundle", bare.folder)
    assert said.code == 4
    assert f"bundle {bare.short_id} has no fracture network" in said.err
    recipe = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert recipe["start"] == bare.id
    assert recipe["recipe"]["widths"] == [24, 48, 80, 96]
    assert not (tmp_path / "run" / "cases").exists()


def _started(arguments, **options) -> subprocess.Popen:
    # A shell starts what runs in the background deaf to Ctrl-C, and children inherit that.
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen([*PROGRAM, *map(str, arguments)], start_new_session=True, **options)
    finally:
        signal.signal(signal.SIGINT, heard)


@pytest.mark.parametrize(("wish", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "terminate"])
def test_an_interrupted_run_ends_cleanly_and_leaves_nothing(tmp_path, wish, code):
    process = _started(["phantom", "make", "-o", tmp_path / "made"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("made/.making-*")) and time.monotonic() < deadline:
        time.sleep(0.05)  # until the program works: there is no event to wait for from outside
    os.killpg(process.pid, wish)
    _, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    assert b"Traceback" not in err
    assert files_below(tmp_path) == ["made/plan.json"]
    assert not list(tmp_path.glob("made/.making-*"))


def test_a_reader_that_goes_away_is_no_error(bundle):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        done = subprocess.run(
            [*PROGRAM, "bundle", "show", str(bundle)], stdout=gone, stderr=subprocess.PIPE, check=False, timeout=60
        )
    assert done.returncode == 141
    assert done.stderr == b""


def test_a_terminal_sees_the_stage_and_a_pipe_does_not(study, bundle, tmp_path):
    ours, theirs = pty.openpty()
    arguments = ["detect", study, "--bundle", bundle, "-o", tmp_path, "-f", "json"]
    process = _started(arguments, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    seen = b""
    try:
        while block := os.read(ours, 4096):
            seen += block
    except OSError:  # Linux reports the end of a terminal as an input error
        pass
    out, _ = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 0
    assert b"vertebrae" in seen
    assert out.startswith(b"2.25.11")


def test_a_gallery_of_something_unknown_is_refused_with_what_there_is(tmp_path):
    said = called("phantom", "gallery", "-o", tmp_path / "made", "--only", "crack")
    assert said.code == 2
    assert "'crack': no such fracture type or mimic; known are" in said.err
    assert not (tmp_path / "made").exists()
