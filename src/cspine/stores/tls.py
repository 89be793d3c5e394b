"""Certificates by file, for both ends of a connection. Nothing older than TLS 1.2 is spoken."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from cspine.domain import ConfigError


@dataclass(frozen=True)
class TlsFiles:
    """Who we are, and whom we trust.

    Attributes
    ----------
    cert_file, key_file
        Our certificate chain and its key, PEM without a passphrase; a server needs them.
    ca_file
        Authorities that the other side's certificate must come from. A server that has it asks every client for a
        certificate; a client without it trusts the authorities of the system.
    """

    cert_file: Path | None = None
    key_file: Path | None = None
    ca_file: Path | None = None

    def server_context(self) -> ssl.SSLContext:
        """Return the context of a server.

        Raises
        ------
        ConfigError
            No certificate is given, or a file cannot be used.
        """
        if self.cert_file is None:
            raise ConfigError("a TLS server needs a certificate and its key; none is given")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._load(context)
        if self.ca_file is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client_context(self) -> ssl.SSLContext:
        """Return the context of a client, which checks the server's name.

        Raises
        ------
        ConfigError
            A file cannot be used.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._load(context)
        if self.ca_file is None:
            context.load_default_certs()
        return context

    def _load(self, context: ssl.SSLContext) -> None:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            if self.cert_file is not None:
                context.load_cert_chain(self.cert_file, self.key_file, password=_no_passphrase)
            if self.ca_file is not None:
                context.load_verify_locations(self.ca_file)
        except (OSError, ValueError) as error:
            files = ", ".join(str(file) for file in (self.cert_file, self.key_file, self.ca_file) if file)
            raise ConfigError(f"the TLS files {files} cannot be used: {error}") from error


def _no_passphrase() -> str:
    """Keep OpenSSL from asking on the terminal."""
    raise ValueError("the key is protected by a passphrase; give one without")
