"""A certificate of this machine's loopback, as an administrator makes one."""

import subprocess
from pathlib import Path

from cspine.stores import TlsFiles

_CERTIFY = (
    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem -days 2 "
    "-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
)


def make_certificate(openssl: str, folder: Path) -> TlsFiles:
    """Return a certificate that is its own authority, with its key."""
    subprocess.run([openssl, *_CERTIFY.split()], cwd=folder, check=True, capture_output=True)
    return TlsFiles(folder / "cert.pem", folder / "key.pem", folder / "cert.pem")
