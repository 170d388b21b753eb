"""The service's settings: one frozen object, read once from the environment. Nothing else reads the environment."""

import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Self, TypeAlias, cast

from environs import Env
from environs.exceptions import EnvValidationError
from jwt.algorithms import HMACAlgorithm
from jwt.exceptions import InvalidKeyError
from marshmallow import ValidationError
from marshmallow.validate import OneOf, Range

from service.dsn import Dsn
from service.keyring import SigningKey, read_keys

Network: TypeAlias = IPv4Network | IPv6Network

_KEYS = "JWT_KEYS"
_SECRET_BYTES = 32  # RFC 7518, section 3.2: a key for HS256 is at least as long as its hash.

# As a browser sends it: lower case, no path, no wildcard, and no port that goes without saying.
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:]+\])(?::([1-9][0-9]{0,4}))?")
_UNSENT_PORT = re.compile(r"http:.*:80|https:.*:443")
_MAX_PORT = 65535

_COUNT = Range(1, 2_147_483_647)  # PostgreSQL's integer; in seconds, 68 years


class SettingsError(Exception):
    """The environment is wrong. `faults` holds, by variable name, every sentence that says why."""

    def __init__(self, faults: dict[str, list[str]]) -> None:
        super().__init__("; ".join(f"{name}: {' '.join(messages)}" for name, messages in faults.items()))
        self.faults = faults


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set. Times are in seconds. Secrets are in no repr; docs/settings.md has a row for each."""

    app_env: str
    data_dir: Path
    database_url: Dsn | None
    host: str
    port: int
    workers: int
    jwt_secret: str = field(repr=False)
    jwt_keys: tuple[SigningKey, ...]
    jwt_issuer: str
    jwt_audience: str
    password_pepper: str = field(repr=False)
    access_token_ttl: int
    refresh_token_ttl: int
    login_failures_per_account: int
    login_failures_per_address: int
    trusted_proxies: tuple[Network, ...]
    bcrypt_cost: int
    pool_size: int
    pool_max_overflow: int
    pool_timeout: float
    pool_recycle: float
    db_connect_timeout: float
    statement_timeout: float
    max_body_bytes: int
    read_timeout: float
    cors_origins: frozenset[str]
    require_if_match: bool
    shutdown_timeout: float
    debug: bool
    log_level: str
    log_format: str

    @property
    def is_production(self) -> bool:
        """True in production, where nothing is generated, nothing embedded and nothing migrated at start."""
        return self.app_env == "production"

    @classmethod
    def load(cls, env_file: Path = Path(".env"), *, with_keys: bool = True) -> Self:
        """Read the environment and, outside production, `env_file` for what the environment leaves out.

        Args:
            env_file: the file that development may keep its settings in.
            with_keys: whether the secrets are needed. Migrations need none, so that who applies them need hold none;
                without this, secrets that are not set are empty, and no key is read.

        Raises:
            SettingsError: with every fault at once.
        """
        env = _environment(env_file)
        env.add_parser("dsn", _parse_dsn)
        env.add_parser("jwt_secret", _parse_jwt_secret)
        env.add_parser("keys", _parse_keys)
        env.add_parser("networks", _parse_networks)
        env.add_parser("origins", _parse_origins)
        env.add_parser("secret", _parse_secret)
        app_env: str = env.str("APP_ENV", "development", validate=OneOf(["development", "production"]))
        is_production = app_env == "production"
        data_dir = Path(env.str("DATA_DIR", ".dev")).absolute()
        unset: dict[str, None] = {} if is_production else {"default": None}
        unset_key: dict[str, None] = unset if with_keys else {"default": None}
        has_keys = with_keys and _KEYS in os.environ
        values: dict[str, Any] = {
            "app_env": app_env,
            "data_dir": data_dir,
            "database_url": env.dsn("DATABASE_URL", **unset),
            "host": env.str("HOST", "127.0.0.1"),
            "port": env.int("PORT", 8000, validate=Range(0, 65535)),
            "workers": env.int("WORKERS", 1, validate=Range(1, 64)),
            "jwt_secret": env.jwt_secret("JWT_SECRET", **({"default": None} if has_keys else unset_key)),
            "jwt_keys": env.keys(_KEYS) if has_keys else (),
            "jwt_issuer": env.str("JWT_ISSUER", "task-service", validate=_not_empty),
            "jwt_audience": env.str("JWT_AUDIENCE", "task-service", validate=_not_empty),
            "password_pepper": env.secret("PASSWORD_PEPPER", **unset_key),
            "access_token_ttl": env.int("ACCESS_TOKEN_TTL", 900, validate=_COUNT),
            "refresh_token_ttl": env.int("REFRESH_TOKEN_TTL", 2_592_000, validate=_COUNT),
            "login_failures_per_account": env.int("LOGIN_FAILURES_PER_ACCOUNT", 10, validate=_COUNT),
            "login_failures_per_address": env.int("LOGIN_FAILURES_PER_ADDRESS", 100, validate=_COUNT),
            "trusted_proxies": env.networks("TRUSTED_PROXIES", ""),
            "bcrypt_cost": env.int("BCRYPT_COST", 12, validate=Range(4, 31)),
            "pool_size": env.int("POOL_SIZE", 10, validate=Range(1)),
            "pool_max_overflow": env.int("POOL_MAX_OVERFLOW", 5, validate=Range(0)),
            "pool_timeout": env.float("POOL_TIMEOUT", 2.0, validate=_positive),
            "pool_recycle": env.float("POOL_RECYCLE", 3600.0, validate=_positive),
            "db_connect_timeout": env.float("DB_CONNECT_TIMEOUT", 10.0, validate=_positive),
            "statement_timeout": env.float("STATEMENT_TIMEOUT", 5.0, validate=_positive),
            "max_body_bytes": env.int("MAX_BODY_BYTES", 65536, validate=Range(1)),
            "read_timeout": env.float("READ_TIMEOUT", 15.0, validate=_positive),
            "cors_origins": env.origins("CORS_ORIGINS", ""),
            "require_if_match": env.bool("REQUIRE_IF_MATCH", default=False),
            "shutdown_timeout": env.float("SHUTDOWN_TIMEOUT", 10.0, validate=_positive),
            "debug": env.bool("DEBUG", default=False),
            "log_level": env.str("LOG_LEVEL", "info", validate=OneOf(["debug", "info", "warning", "error"])),
            "log_format": env.str(
                "LOG_FORMAT", "json" if is_production else "console", validate=OneOf(["console", "json"])
            ),
        }
        try:
            env.seal()
        except EnvValidationError as error:
            # By variable name, since it comes from an Env and not from a single parser.
            raise SettingsError(cast(dict[str, list[str]], error.error_messages)) from None
        try:
            for name in ("jwt_secret", "password_pepper"):
                is_needed = with_keys and not (name == "jwt_secret" and has_keys)
                values[name] = values[name] or (_kept_secret(data_dir / name) if is_needed else "")
        except OSError as error:
            raise SettingsError({"DATA_DIR": [f"Cannot keep secrets in {data_dir}: {error.strerror}."]}) from None
        return cls(**values)


def keys_folder(env_file: Path = Path(".env")) -> Path | None:
    """Return the folder that JWT_KEYS names, be there keys in it or not; None where it names none."""
    folder = _environment(env_file).str(_KEYS, "")
    return Path(folder) if folder else None


def _environment(env_file: Path) -> Env:
    env = Env(eager=False)
    if os.environ.get("APP_ENV") != "production":
        env.read_env(env_file, recurse=False)
    return env


# environs hands a parser of one's own the default as well, so some take None.


def _parse_dsn(value: str | None) -> Dsn | None:
    try:
        return None if value is None else Dsn.parse(value)
    except ValueError as error:
        raise ValidationError(str(error)) from None


def _parse_origins(value: str) -> frozenset[str]:
    """Read origins as browsers write them (RFC 6454, section 6.2), separated by commas."""
    origins = [origin.strip() for origin in value.split(",") if origin.strip()]
    for origin in origins:
        match = _ORIGIN.fullmatch(origin)
        if not match or _UNSENT_PORT.fullmatch(origin) or int(match[1] or 0) > _MAX_PORT:
            raise ValidationError(f"{origin!r} is no origin: write https://example.com or https://example.com:8443.")
    return frozenset(origins)


def _parse_networks(value: str) -> tuple[Network, ...]:
    """Read addresses and networks, separated by commas."""
    networks = []
    for text in filter(None, map(str.strip, value.split(","))):
        try:
            networks.append(ip_network(text))
        except ValueError:
            raise ValidationError(f"{text!r} is no network: write 10.0.0.0/8 or an address.") from None
    return tuple(networks)


def _parse_secret(value: str | None) -> str | None:
    if value is not None and len(value.encode()) < _SECRET_BYTES:
        raise ValidationError(f"Must be at least {_SECRET_BYTES} bytes long: `openssl rand -base64 48` makes one.")
    return value


def _parse_jwt_secret(value: str | None) -> str | None:
    """Read a secret that PyJWT signs with; it does not with a PEM or a JWK, which may well be public."""
    secret = _parse_secret(value)
    try:
        if secret is not None:
            HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
    except InvalidKeyError:
        raise ValidationError("Is a key of another kind: JWT_KEYS names the folder for private keys.") from None
    return secret


def _parse_keys(value: str) -> tuple[SigningKey, ...]:
    _not_empty(value)  # or it would be the current folder
    try:
        return read_keys(Path(value))
    except ValueError as error:
        raise ValidationError(str(error)) from None


def _positive(value: float) -> None:
    if not 0 < value < float("inf"):
        raise ValidationError("Must be greater than 0.")


def _not_empty(value: str) -> None:
    if not value.strip():
        raise ValidationError("Must not be empty.")


def _kept_secret(file: Path) -> str:
    """Return the secret that development keeps in a git-ignored file, made at the first start."""
    if not file.exists():
        file.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        draft = file.with_name(f".{file.name}.{os.getpid()}")
        with open(draft, "x", opener=lambda path, flags: os.open(path, flags, mode=0o600)) as new:
            new.write(secrets.token_urlsafe(48))
        # A link appears whole or not at all, so that of two first starts both read the same secret.
        with suppress(FileExistsError):
            os.link(draft, file)
        draft.unlink()
    return file.read_text()
