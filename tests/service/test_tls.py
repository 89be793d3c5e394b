"""`cspine serve` with a certificate by file: browsers and scanners reach it by TLS, and by nothing else."""

import json
import ssl
import subprocess
import urllib.error
import urllib.request
from dataclasses import replace
from http.client import HTTPResponse
from pathlib import Path

import pytest

from cspine.domain import ConfigError
from cspine.service import staff_of
from tests.service.builders import PASSWORD, ROOT_UID, make_place, write_neck
from tests.service.program import USER, Program, free_port, serving, wait_for


@pytest.fixture(scope="module")
def secured(tmp_path_factory, certificate):
    """Yield a service that speaks TLS on both of its ports."""
    files = {"certificate": str(certificate.cert_file), "key": str(certificate.key_file)}
    settings: dict[str, object] = {
        "port": free_port(),
        "receive_port": free_port(),
        "receive_quiet_s": 1.0,
        "threads": 1,
    }
    secret = {f"{where}tls_{name}": file for where in ("", "receive_") for name, file in files.items()}
    settings |= secret | {"receive_tls_ca": str(certificate.ca_file), "min_free_mib": 0}
    folder = tmp_path_factory.mktemp("tls-service")
    with serving(folder, settings, PASSWORD, folder / "log.txt") as program:
        yield program, settings


def _log_in(program: Program) -> HTTPResponse:
    body = json.dumps({"name": USER, "password": PASSWORD}).encode()
    asked = urllib.request.Request(
        f"{program.page}/api/session", body, {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(asked, timeout=60, context=program.tls) as answer:
        return answer


@pytest.mark.slow
def test_a_client_that_knows_the_certificate_logs_in_and_its_cookie_stays_encrypted(secured):
    program, _ = secured
    answer = _log_in(program)
    cookie = answer.headers["Set-Cookie"]
    assert (answer.status, "; Secure" in cookie, "HttpOnly" in cookie) == (200, True, True)
    assert f"serves on {program.page}" in program.log.read_text()


@pytest.mark.slow
def test_who_does_not_know_the_certificate_or_speaks_no_tls_gets_no_answer(secured):
    program, _ = secured
    with pytest.raises(urllib.error.URLError, match="self-signed certificate"):
        urllib.request.urlopen(f"{program.page}/api/health", timeout=60, context=ssl.create_default_context())
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        urllib.request.urlopen(f"{program.page.replace('https', 'http')}/api/health", timeout=60)


@pytest.mark.slow
def test_only_tls_of_today_is_spoken(secured, require_program):
    program, _ = secured
    call = [require_program("openssl"), "s_client", "-connect", program.page.removeprefix("https://")]
    for version, spoken in (("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)):
        done = subprocess.run([*call, version], input=b"", check=False, capture_output=True)
        assert (done.returncode == 0) == spoken, (version, done.stderr)


@pytest.mark.slow
def test_a_scanner_sends_by_tls_and_its_study_stands_in_the_worklist(
    secured, tmp_path: Path, require_program, certificate
):
    program, settings = secured
    call = [require_program("storescu"), "--scan-directories", "-aec", "CSPINE"]
    known = ["+tls", str(certificate.key_file), str(certificate.cert_file), "+cf", str(certificate.ca_file)]
    to = ["127.0.0.1", str(settings["receive_port"])]
    one, other = (write_neck(tmp_path / f"{number}", number, slices=slice(0, 4)) for number in (1, 2))

    def send(study: Path, *how: str) -> bool:
        return subprocess.run([*call, *how, *to, study], check=False, capture_output=True).returncode == 0

    wait_for(lambda: send(one, *known), program.check_alive)  # until the receiver listens
    assert not send(other)
    assert not send(other, "+tla", *known[3:])
    wait_for(lambda: bool(program.studies()), program.check_alive)
    assert [row["study_uid"] for row in program.studies()] == [f"{ROOT_UID}.1"]


@pytest.mark.parametrize("setting", ["tls", "receive_tls"])
def test_files_that_cannot_be_used_stop_the_service_before_it_starts(tmp_path, certificate, setting):
    files = {f"{setting}_certificate": certificate.cert_file, f"{setting}_key": tmp_path / "none.pem"}
    config = replace(make_place(tmp_path, receive_port=free_port()).config, **files)
    with pytest.raises(ConfigError, match=r"cert\.pem, .*none\.pem cannot be used"):
        staff_of(config)
