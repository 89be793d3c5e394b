"""The settings of the service: one TOML, one table that feeds the checks, the command line and the documentation."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cspine.domain import ConfigError, RenderError
from cspine.report import check_kind
from cspine.workflow import has_dicom

LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]", "::1")
LAST_PORT = 65_535


# What each setting means: the documentation's table.
MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "data_dir": "Folder of uploads, images, results and the database. Required.",
        "database_url": "postgresql://USER:PASSWORD@HOST/NAME for several machines; empty: SQLite in data_dir.",
        "database_ca": "PEM file of the authority of its certificate; default: those of the system.",
        "host": "Address to listen on. Anything but this machine needs TLS or behind_proxy.",
        "port": "Port to listen on.",
        "allowed_hosts": "Names under which browsers may call the service, besides localhost.",
        "tls_certificate": "PEM file of the certificate chain.",
        "tls_key": "PEM file of its key.",
        "behind_proxy": "A proxy on another address ends TLS in front of the service.",
        "workers": "Processes that analyze.",
        "threads": "Processor threads of a worker; 0: all processors, shared among the workers.",
        "engine": "What runs the networks: openvino or onnxruntime.",
        "bundle": "Model bundle; default: the one inside the package.",
        "worker_memory_mib": "A worker may have this much data in memory.",
        "kinds": "Documents made of every study.",
        "max_attempts": "A job that meets errors which may pass is tried this often.",
        "retry_first_s": "Wait before the second try; doubled before each further one.",
        "lease_s": "A worker that gives no sign of life for so long has lost its job.",
        "job_timeout_s": "A job that takes longer is ended and tried again.",
        "max_upload_mib": "Largest upload.",
        "max_files": "Most files in an upload or an archive.",
        "min_free_mib": "Nothing is accepted while less than this is free on the disk.",
        "session_idle_min": "A session ends after so many minutes without a request.",
        "session_hours": "A session ends after so many hours in any case.",
        "webhook_url": "Every result is announced here with a POST; empty: nowhere.",
        "webhook_secret": "Key of the HMAC-SHA256 in the header X-Cspine-Signature.",
        "mail_host": "SMTP server for announcements of rule-in, failed and refused studies; empty: none.",
        "mail_port": "Its port.",
        "mail_access": "Access file of the mail server, which is then spoken to by TLS: user, password, ca_file.",
        "mail_from": "Sender of mails.",
        "mail_to": "Receivers of mails.",
        "receive_port": "Port on which studies are received by DICOM (C-STORE); 0: none.",
        "receive_host": "Address to receive on.",
        "receive_ae_title": "Our AE title, for receiving.",
        "receive_from": "Networks that may send, such as 10.1.0.0/16; empty: this machine only.",
        "receive_callers": "AE titles that may send; empty: any.",
        "receive_associations": "Most associations at a time.",
        "receive_quiet_s": "A study is complete when nothing of it has come for so long.",
        "receive_max_gib": "Most that is kept of what was received; beyond it senders are told A700.",
        "receive_keep_days": "What was received and taken over is kept so long, for slices that come late.",
        "receive_tls_certificate": "PEM file of the certificate chain for receiving by TLS.",
        "receive_tls_key": "PEM file of its key.",
        "receive_tls_ca": "PEM file of the authority that senders must have a certificate from.",
        "send_to": "Archive that every result is sent to, as dicomweb://HOST/PATH or dimse://HOST/TITLE; empty: none.",
        "send_access": "Access file of the archive: TOML with token, or user and password, or certificates.",
        "send_attempts": "What the archive does not take, or a full disk has no room for, is tried so often.",
        "send_wait_max_s": "Longest wait between two of these attempts.",
    }
)


@dataclass(frozen=True)
class ServiceConfig:
    """Everything that can be set; `settings_table` lists it with the meanings.

    Raises
    ------
    ConfigError
        A value is impossible, or two do not go together.
    """

    data_dir: Path
    database_url: str = ""
    database_ca: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8600
    allowed_hosts: tuple[str, ...] = ()
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    behind_proxy: bool = False
    workers: int = 1
    threads: int = 0
    engine: str = "openvino"
    bundle: Path | None = None
    worker_memory_mib: int = 8192
    kinds: tuple[str, ...] = ("json", "html", "pdf", "dicom")
    max_attempts: int = 3
    retry_first_s: float = 5.0
    lease_s: float = 30.0
    job_timeout_s: float = 900.0
    max_upload_mib: int = 4096
    max_files: int = 8000
    min_free_mib: int = 512
    session_idle_min: float = 30.0
    session_hours: float = 12.0
    webhook_url: str = ""
    webhook_secret: str = ""
    mail_host: str = ""
    mail_port: int = 25
    mail_access: Path | None = None
    mail_from: str = ""
    mail_to: tuple[str, ...] = ()
    receive_port: int = 0
    receive_host: str = "127.0.0.1"
    receive_ae_title: str = "CSPINE"
    receive_from: tuple[str, ...] = ()
    receive_callers: tuple[str, ...] = ()
    receive_associations: int = 8
    receive_quiet_s: float = 30.0
    receive_max_gib: int = 200
    receive_keep_days: float = 2.0
    receive_tls_certificate: Path | None = None
    receive_tls_key: Path | None = None
    receive_tls_ca: Path | None = None
    send_to: str = ""
    send_access: Path | None = None
    send_attempts: int = 300
    send_wait_max_s: float = 900.0

    def __post_init__(self) -> None:
        self._check_numbers()
        for kind in self.kinds:
            try:
                check_kind(kind)
            except RenderError as error:
                raise ConfigError(f"kinds: {error}") from error
        if "json" not in self.kinds:
            raise ConfigError(f"kinds is {list(self.kinds)}; json must be among them, the viewer reads it")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ConfigError("tls_certificate and tls_key belong together; give both or none")
        if self.host not in LOCAL_HOSTS and self.tls_certificate is None and not self.behind_proxy:
            raise ConfigError(
                f"host is {self.host!r}: passwords and images would cross the network in clear; give tls_certificate "
                "and tls_key, or set behind_proxy where a proxy ends TLS"
            )
        if self.mail_host and not (self.mail_from and self.mail_to):
            raise ConfigError("mail_host is set; mail_from and mail_to are needed, too")
        if self.send_to and not has_dicom(self.kinds):
            raise ConfigError(f"send_to is set, and kinds is {list(self.kinds)}; dicom must be among them")
        if self.webhook_url and not self.webhook_url.startswith(("http://", "https://")):
            raise ConfigError(f"webhook_url is {self.webhook_url!r}; it must begin with http:// or https://")

    @property
    def url(self) -> str:
        """Return the database that is used."""
        return self.database_url or f"sqlite:///{self.data_dir / 'cspine.sqlite'}"

    @property
    def studies_dir(self) -> Path:
        """Where images and results are."""
        return self.data_dir / "studies"

    @property
    def spool_dir(self) -> Path:
        """Where uploads are until they are sorted into studies."""
        return self.data_dir / "spool"

    @property
    def inbox_dir(self) -> Path:
        """Where received objects are until their study is complete, and some days longer."""
        return self.data_dir / "inbox"

    @property
    def secure(self) -> bool:
        """Whether browsers reach the service by https."""
        return self.tls_certificate is not None or self.behind_proxy

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every name that requests may be addressed to."""
        return (*LOCAL_HOSTS, *self.allowed_hosts)

    def _check_numbers(self) -> None:
        least = {"port": 0, "threads": 0, "min_free_mib": 0, "retry_first_s": 0, "receive_port": 0}
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                continue
            if one.name in least:
                if value < least[one.name]:
                    raise ConfigError(f"{one.name} is {value}; it must be at least {least[one.name]}")
            elif value <= 0:
                raise ConfigError(f"{one.name} is {value}; it must be above 0")
        for name in ("port", "receive_port"):
            if getattr(self, name) > LAST_PORT:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at most {LAST_PORT}")


def read_config(path: Path) -> ServiceConfig:
    """Read the settings from a TOML file; relative paths count from its folder.

    Raises
    ------
    ConfigError
        No such file, no TOML, an unknown setting (the nearest is named), or an impossible value.
    """
    try:
        with open(path, "rb") as file:
            values = tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    try:
        return config_of(values, path.parent)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def config_of(values: Mapping[str, Any], folder: Path = Path()) -> ServiceConfig:
    """Return the settings from plain values; see `read_config`."""
    known = {one.name: one for one in fields(ServiceConfig)}
    for name in values:
        if name not in known:
            nearest = get_close_matches(name, known, n=1, cutoff=0.0)[0]
            raise ConfigError(f"unknown setting {name!r}: did you mean {nearest!r}?")
    if "data_dir" not in values:
        raise ConfigError("data_dir is missing: the folder in which the service keeps everything")
    return ServiceConfig(**{name: _typed(name, value, known[name].type, folder) for name, value in values.items()})


def settings_table() -> tuple[tuple[str, str, str], ...]:
    """Return (name, default, meaning) of every setting."""
    rows = []
    for one in fields(ServiceConfig):
        default = "" if one.name == "data_dir" else _shown(one.default)
        rows.append((one.name, default, MEANINGS[one.name]))
    return tuple(rows)


def example_config() -> str:
    """Return a settings file that holds every default, commented out, each with its meaning."""
    lines = ['data_dir = "cspine-data"  # ' + MEANINGS["data_dir"]]
    for name, default, about in settings_table()[1:]:
        lines += ["", f"# {about}", f"# {name} = {default}" if default else f'# {name} = ""']
    return "\n".join(lines) + "\n"


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{part}"' for part in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else f'"{value}"' if isinstance(value, str) else str(value)


def _typed(name: str, value: Any, wanted: Any, folder: Path) -> Any:
    """Return a value of TOML as the field holds it."""
    if wanted in (Path, Path | None):
        if isinstance(value, str) and value:
            return folder / Path(value).expanduser()
    elif wanted == tuple[str, ...]:
        if isinstance(value, list) and all(isinstance(part, str) for part in value):
            return tuple(value)
    elif wanted is float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    elif isinstance(value, wanted) and isinstance(value, bool) == (wanted is bool):
        return value
    kinds = {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}
    raise ConfigError(f"{name} is {value!r}; it must be {kinds.get(wanted, 'a path or a list of texts')}")
