"""A training that is killed goes on to the same end; two processes that share a batch learn what one does."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cspine.training.learning import fit
from cspine.training.state_files import load_state
from tests.training.learning.processes import shared
from tests.training.learning.toy import CONFIG, QUICK, problem

PROGRAM = "tests.training.learning.processes"
# Two processes add the parts of a gradient in another order than one.
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


def run(repository: Path, *words: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(repository / "src"), str(repository)])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    return subprocess.run(
        [sys.executable, *words], cwd=repository, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow  # about 8 s of processor time: a second interpreter imports torch
def test_a_run_killed_within_an_epoch_resumes_to_the_same_figures_and_weights(repository: Path, tmp_path: Path) -> None:
    whole = fit(problem(), CONFIG, tmp_path / "whole", QUICK)
    killed = run(repository, "-m", PROGRAM, "killed", str(tmp_path / "killed"), "27")  # of 16 samples an epoch
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(json.loads((tmp_path / "killed" / "history.json").read_text())) == 1
    resumed = fit(problem(), CONFIG, tmp_path / "killed", QUICK)
    assert [row.figures() for row in resumed.history] == [row.figures() for row in whole.history]
    for name, value in whole.network.state_dict().items():
        torch.testing.assert_close(resumed.network.state_dict()[name], value, rtol=0, atol=0)


@pytest.mark.slow  # about 20 s of processor time: three interpreters import torch
def test_two_processes_with_half_a_batch_each_learn_what_one_does_with_all(repository: Path, tmp_path: Path) -> None:
    alone = shared(tmp_path / "alone")
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--local-addr=127.0.0.1")
    done = run(repository, *launcher, "-m", PROGRAM, "shared", str(tmp_path / "both"))
    assert done.returncode == 0, done.stderr[-2000:]
    both = load_state(tmp_path / "both" / "network.safetensors")
    for name, value in alone.network.state_dict().items():
        torch.testing.assert_close(both[name], value, **TOLERANCE)
    rows = json.loads((tmp_path / "both" / "history.json").read_text())
    assert [r["valid_loss"] for r in rows] == pytest.approx([r.valid_loss for r in alone.history], rel=1e-4)
