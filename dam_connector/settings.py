"""Settings from environment variables. No other module reads `os.environ`.

Each setting is a field of `Settings` with its environment variable, default and meaning.
docs/configuration.md is generated from them. A secret is not a field: rules refer to it as `env/NAME`, and
`Settings.secret` returns it.
"""

import base64
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from dam_connector.errors import ConfigError
from dam_connector.private_files import make_private_dir, open_private, private_temp_dir
from dam_connector.server_addresses import address_problems, database_address

SECRETS_FILE = "secrets.env"
# Generated at the first start, unless the environment has them.
GENERATED_SECRETS: Mapping[str, Callable[[], str]] = {
    # Signs login sessions.
    "DAM_CONNECTOR_SECRET_KEY": lambda: secrets.token_urlsafe(48),
    # Signs the webhooks of the PIM in the default plugin.json.
    "DAM_CONNECTOR_WEBHOOK_SECRET": lambda: "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(),
}
MAX_SOCKET_PATH = 100  # sockaddr_un takes 108 bytes on Linux, 104 on macOS


LOG_FORMATS = ("text", "json")
LARGEST = 10**12  # of a whole number, unless a setting says less


def _setting(
    env: str,
    default: Any,
    meaning: str,
    *,
    least: int = 0,
    largest: int = LARGEST,
    choices: Sequence[str] = (),
) -> Any:
    """Return a field that is read from an environment variable; whole numbers have bounds."""
    metadata = {"env": env, "meaning": meaning, "least": least, "largest": largest, "choices": choices}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a process, checked once at start."""

    data_dir: Path = _setting(
        "DAM_CONNECTOR_DATA_DIR", Path("data"), "The directory of the database, files and secrets."
    )
    plugin_json: Path = _setting(
        "DAM_CONNECTOR_PLUGIN_JSON",
        Path("plugin.json"),
        "The rules. At the default path the file may be missing: then the rules that ship with the package "
        "apply. A path that is set must exist.",
    )
    database_url: str = _setting(
        "DATABASE_URL",
        "",
        "SQLAlchemy URL of a PostgreSQL database (`postgresql+psycopg://user:password@host/name`; an @ "
        "in the password is written as %40). Empty: SQLite in the data directory.",
    )
    database_connections: int = _setting(
        "DAM_CONNECTOR_DATABASE_CONNECTIONS",
        30,
        "Connections to PostgreSQL that one process may have at once. Ten stay open. A make worker needs 3, "
        "an intake worker 18, the web process as many as it has threads, and 2 more.",
    )
    redis_url: str = _setting(
        "REDIS_URL",
        "",
        "The queue server. Empty: `dam-connector up` starts its own on a socket in the data directory.",
    )
    storage_url: str = _setting(
        "STORAGE_URL",
        "",
        "Object storage (`s3://bucket/prefix`, `gs://...`, `az://...`) or a folder for files, one for all "
        "processes of a service and for no other service. Empty: a folder in the data directory.",
    )
    public_url: str = _setting(
        "DAM_CONNECTOR_PUBLIC_URL",
        "",
        "The address at which people reach the service, such as `https://dam.example.com`. "
        "Empty: http:// and the address it listens on.",
    )
    host: str = _setting("DAM_CONNECTOR_HOST", "127.0.0.1", "The address to listen on.")
    port: int = _setting("DAM_CONNECTOR_PORT", 8321, "The port to listen on.")
    web_threads: int = _setting(
        "DAM_CONNECTOR_WEB_THREADS",
        24,
        "Threads of the web server. At most half of them wait for slow clients at once.",
    )
    trusted_proxies: int = _setting(
        "DAM_CONNECTOR_TRUSTED_PROXIES",
        0,
        "The number of reverse proxies in front of the service that set X-Forwarded-*.",
    )
    allow_hosts: str = _setting(
        "DAM_CONNECTOR_ALLOW_HOSTS",
        "",
        "Hosts that may be in private networks and have any port: "
        "`host` or `host:port`, separated by commas.",
    )
    max_delivery_bytes: int = _setting(
        "DAM_CONNECTOR_MAX_DELIVERY_BYTES", 1_048_576, "The largest webhook body accepted."
    )
    max_picture_bytes: int = _setting(
        "DAM_CONNECTOR_MAX_PICTURE_BYTES", 33_554_432, "The largest product photo fetched."
    )
    max_picture_pixels: int = _setting(
        "DAM_CONNECTOR_MAX_PICTURE_PIXELS", 64_000_000, "The largest product photo accepted, in pixels."
    )
    fetch_timeout_s: int = _setting(
        "DAM_CONNECTOR_FETCH_TIMEOUT_S", 30, "The most seconds one fetch may take from first to last byte."
    )
    rate_limits: str = _setting(
        "DAM_CONNECTOR_RATE_LIMITS",
        "",
        "The most requests that all processes together send to a host in a minute, such as "
        "`api.example.com=120,shop.example.com=600`. Whatever it says, a host that answers 429 is left alone "
        "by all for the time that it names.",
    )
    drain_s: int = _setting(
        "DAM_CONNECTOR_DRAIN_S",
        15,
        "Seconds that a worker which is stopped has for the job that it is at. Then it hands the run over to "
        "the next worker, which goes on at the last step.",
    )
    job_memory_mb: int = _setting(
        "DAM_CONNECTOR_JOB_MEMORY_MB",
        4000,
        "The most memory of a job's process and its children, in MB; beyond it the job is ended, tried "
        "once more, and fails. 0: no limit.",
    )
    jobs_per_process: int = _setting(
        "DAM_CONNECTOR_JOBS_PER_PROCESS",
        50,
        "Jobs that run one after the other in the same process of a make worker. The first one costs .4 "
        "CPU-seconds more than the others. 1: each job has a process of its own.",
    )
    worker_memory_mb: int = _setting(
        "DAM_CONNECTOR_WORKER_MEMORY_MB",
        1500,
        "A worker that has more memory between two jobs ends, for its supervisor to start it anew. 0: never.",
    )
    webhooks_per_minute: int = _setting(
        "DAM_CONNECTOR_WEBHOOKS_PER_MINUTE",
        60_000,
        "Webhooks accepted from one address in a minute, before the answer is 429.",
    )
    logins_per_minute: int = _setting(
        "DAM_CONNECTOR_LOGINS_PER_MINUTE",
        10,
        "Login attempts from one address in a minute, before the answer is 429.",
    )
    session_hours: int = _setting(
        "DAM_CONNECTOR_SESSION_HOURS",
        12,
        "Hours after a login in which a browser stays logged in.",
        least=1,
        largest=8_760,
    )
    token_days: int = _setting(
        "DAM_CONNECTOR_TOKEN_DAYS",
        90,
        "Days until an API token expires that is made without a number of days.",
        least=1,
        largest=3_650,
    )
    sign_on_max_age_days: int = _setting(
        "DAM_CONNECTOR_SIGN_ON_MAX_AGE_DAYS",
        30,
        "Days after the last single sign-on of a person in which the API tokens of that user count; the next "
        "login makes them count again. 0: until they expire.",
    )
    public_cache_s: int = _setting(
        "DAM_CONNECTOR_PUBLIC_CACHE_S",
        300,
        "Seconds for which browsers and CDNs serve a published file without asking again, and so the longest "
        "that they serve a withdrawn one. 31536000 (a year): they never ask again.",
    )
    undo_s: int = _setting(
        "DAM_CONNECTOR_UNDO_S",
        10,
        "Seconds in which a decision on the review pages can be undone before it takes effect.",
    )
    keep_deliveries_days: int = _setting(
        "DAM_CONNECTOR_KEEP_DELIVERIES_DAYS",
        90,
        "Days for which handled, ignored and failed webhook deliveries are kept. 0: for ever.",
    )
    keep_runs_days: int = _setting(
        "DAM_CONNECTOR_KEEP_RUNS_DAYS",
        90,
        "Days for which finished runs are kept. Runs that made something stay, without their checkpoint. "
        "0: for ever.",
    )
    keep_history_days: int = _setting(
        "DAM_CONNECTOR_KEEP_HISTORY_DAYS",
        730,
        "Days for which the connector's own entries in histories are kept. Entries of people, and the audit "
        "log, are kept for ever. 0: all are.",
    )
    keep_unused_files_days: int = _setting(
        "DAM_CONNECTOR_KEEP_UNUSED_FILES_DAYS",
        7,
        "Days for which a stored file that no record names is kept. 0: for ever.",
    )
    min_free_disk_mb: int = _setting(
        "DAM_CONNECTOR_MIN_FREE_DISK_MB",
        1000,
        "Below so much free disk, webhooks and uploads are answered with 503 and runs wait. It counts where "
        "SQLite or a folder of files is used. 0: no limit.",
    )
    c2pa_certificate: str = _setting(
        "DAM_CONNECTOR_C2PA_CERTIFICATE",
        "",
        "A PEM file with the certificate chain, the signer's first: pictures get signed content credentials. "
        "Empty: they get none.",
    )
    c2pa_key: str = _setting(
        "DAM_CONNECTOR_C2PA_KEY",
        "",
        "A PEM file with that certificate's private key, readable only by the worker.",
    )
    c2pa_algorithm: str = _setting(
        "DAM_CONNECTOR_C2PA_ALGORITHM",
        "es256",
        "The signature algorithm: es256, es384, es512, ps256, ps384, ps512 or ed25519.",
    )
    c2pa_timestamp_url: str = _setting(
        "DAM_CONNECTOR_C2PA_TIMESTAMP_URL",
        "",
        "An RFC 3161 time stamp authority. Empty: signatures carry no time.",
    )
    log_format: str = _setting("DAM_CONNECTOR_LOG_FORMAT", "text", "`text` or `json`.", choices=LOG_FORMATS)
    otlp_endpoint: str = _setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "",
        "Where a collector of OpenTelemetry takes traces by HTTP, such as `http://collector:4318`. It needs "
        "the extra `otel`. Empty: nothing is traced.",
    )
    # All environment variables, including secrets.
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **overrides: object) -> "Settings":
        """Return the settings of this process.

        Args:
            environ: the environment variables; None: those of the process.
            overrides: fields of `Settings` that take precedence over the environment.

        Raises:
            ConfigError: the variables that cannot be read, one in each line.
        """
        environ = dict(os.environ if environ is None else environ)
        data_dir = Path(str(overrides.get("data_dir") or environ.get("DAM_CONNECTOR_DATA_DIR") or "data"))
        environ = {**_read_secrets(data_dir / SECRETS_FILE), **environ}
        values: dict[str, Any] = {"environ": environ}
        problems = []
        for f in fields(cls):
            raw = environ.get(f.metadata.get("env", ""), "")
            if raw:
                try:
                    values[f.name] = _parse(raw, f.default, f.metadata)
                except ValueError as error:
                    problems.append(f"{f.metadata['env']}: {raw[:40]!r} is {error}")
        used = values | overrides
        problems += address_problems(str(used.get("database_url", "")), str(used.get("redis_url", "")))
        if problems:
            raise ConfigError(*problems)
        return cls(**used)

    @property
    def effective_database_url(self) -> str:
        """Return the URL of the database: `database_url`, or SQLite in the data directory."""
        return database_address(self.database_url) or f"sqlite:///{self.data_dir / 'connector.db'}"

    @property
    def queue_socket(self) -> Path:
        """Return the embedded queue server's socket.

        If its path in the data directory is too long, it is in a private directory below the temporary one.

        Raises:
            ConfigError: that directory is not this user's alone.
        """
        path = (self.data_dir / "run" / "queue.sock").absolute()
        if len(str(path)) <= MAX_SOCKET_PATH:
            return path
        digest = hashlib.sha256(str(path).encode()).hexdigest()[:16]
        return private_temp_dir("dam-connector") / f"{digest}.sock"

    @property
    def effective_redis_url(self) -> str:
        """Return the URL of the queue server: `redis_url`, or the socket of the embedded one."""
        return self.redis_url or f"unix://{self.queue_socket}"

    @property
    def effective_storage_url(self) -> str:
        """Return the URL or folder of the files: `storage_url`, or a folder in the data directory."""
        return self.storage_url or str(self.data_dir / "files")

    @property
    def base_url(self) -> str:
        """Return the address at which people reach the service, without a slash at the end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """Return the entries of `allow_hosts`."""
        return frozenset(host.strip() for host in self.allow_hosts.split(",") if host.strip())

    def secret(self, reference: str) -> str:
        """Return the secret that a reference `env/NAME` names.

        Raises:
            ConfigError: the variable is not set, or the text is not a reference.
        """
        kind, _, name = reference.partition("/")
        if kind != "env" or not name:
            raise ConfigError(f"a secret must be given as env/NAME, not as {kind[:3]}...")
        value = self.environ.get(name, "")
        if not value:
            raise ConfigError(f"the environment variable {name} is not set")
        return value

    def child_environ(self) -> dict[str, str]:
        """Return the environment variables for a child process with the same settings."""
        ours = {f.metadata["env"]: str(getattr(self, f.name)) for f in fields(self) if "env" in f.metadata}
        if self.plugin_json.exists():  # as a whole path, whose file must not disappear
            ours["DAM_CONNECTOR_PLUGIN_JSON"] = str(self.plugin_json.absolute())
        return {**self.environ, **{name: value for name, value in ours.items() if value}}


# Options of the client of object storage that the provider's variables set, e.g. AWS_ALLOW_HTTP.
_CLIENT_OPTIONS = (
    *("allow_http", "allow_invalid_certificates", "http1_only", "http2_only"),  # true or false
    *("connect_timeout", "read_timeout", "timeout", "pool_idle_timeout", "pool_max_idle_per_host"),
    *("proxy_url", "proxy_ca_certificate", "proxy_excludes", "root_certificate", "user_agent"),
)
_CLIENT_PREFIXES = {"s3": "AWS_", "s3a": "AWS_", "gs": "GOOGLE_"}  # of variables; all other kinds: AZURE_


def storage_client_options(scheme: str, environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the client's options for e.g. `s3`. obstore reads them itself only while it is given none."""
    environ = os.environ if environ is None else environ
    prefix = _CLIENT_PREFIXES.get(scheme, "AZURE_")
    given = {name: environ.get(f"{prefix}{name.upper()}", "") for name in _CLIENT_OPTIONS}
    return {
        name: value.lower() in ("1", "true", "on", "yes", "y") if name in _CLIENT_OPTIONS[:4] else value
        for name, value in given.items()
        if value
    }


def _parse(text: str, default: Any, metadata: Mapping[str, Any]) -> Any:
    """Return a text as the type of a default: a path, a whole number or a text. Raises: ValueError."""
    if isinstance(default, Path):
        return Path(text)
    if not isinstance(default, int):
        if metadata["choices"] and text not in metadata["choices"]:
            raise ValueError(f"not one of {', '.join(metadata['choices'])}")
        return text
    if not re.fullmatch(r"\s*-?[0-9]{1,18}\s*", text):
        raise ValueError("not a whole number")
    if not metadata["least"] <= int(text) <= metadata["largest"]:
        raise ValueError(f"not between {metadata['least']} and {metadata['largest']}")
    return int(text)


def _read_secrets(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line)


def ensure_secrets(settings: Settings) -> Settings:
    """Return the settings with the secrets that each installation needs.

    Missing ones are generated and stored in the data directory.
    """
    missing = {name: make() for name, make in GENERATED_SECRETS.items() if not settings.environ.get(name)}
    if missing:
        make_private_dir(settings.data_dir)
        with open_private(settings.data_dir / SECRETS_FILE, "a") as file:
            file.writelines(f"{name}={value}\n" for name, value in missing.items())
    return replace(settings, environ={**settings.environ, **missing})
