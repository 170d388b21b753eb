"""Settings: read once, refused all at once, and never giving a secret away."""

import dataclasses
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from unittest.mock import patch

import pytest

from service.dsn import Dsn
from service.keyring import write_key
from service.settings import Settings, SettingsError
from tests.processes import bare_environ

_ROOT = Path(__file__).parents[1]
_SECRETS = {"JWT_SECRET": "canary-jwt-" + "j" * 32, "PASSWORD_PEPPER": "canary-pepper-" + "p" * 32}
_DATABASE_URL = "postgresql://owner:canary-password@db.example.com/tasks?sslmode=require"
_PRODUCTION = {"APP_ENV": "production", "DATABASE_URL": _DATABASE_URL, **_SECRETS}
_DEFAULTS: dict[str, object] = {
    "app_env": "development",
    "database_url": None,
    "host": "127.0.0.1",
    "port": 8000,
    "jwt_issuer": "task-service",
    "jwt_audience": "task-service",
    "access_token_ttl": 900,
    "refresh_token_ttl": 30 * 86400,
    "login_failures_per_account": 10,
    "login_failures_per_address": 100,
    "trusted_proxies": (),
    "bcrypt_cost": 12,
    "pool_size": 10,
    "pool_max_overflow": 5,
    "pool_timeout": 2.0,
    "pool_recycle": 3600.0,
    "db_connect_timeout": 10.0,
    "statement_timeout": 5.0,
    "max_body_bytes": 65536,
    "read_timeout": 15.0,
    "workers": 1,
    "cors_origins": frozenset(),
    "require_if_match": False,
    "shutdown_timeout": 10.0,
    "debug": False,
    "log_level": "info",
    "log_format": "console",
}


@pytest.fixture(autouse=True)
def bare_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An environment that sets nothing of ours, in a folder without a .env, and undone whatever the test leaves."""
    monkeypatch.chdir(tmp_path)
    with patch.dict(os.environ, bare_environ(), clear=True):
        yield


def _load(**variables: str) -> Settings:
    os.environ.update(variables)
    return Settings.load()


def _faults(**variables: str) -> dict[str, list[str]]:
    with pytest.raises(SettingsError) as refused:
        _load(**variables)
    return refused.value.faults


def test_everything_has_a_default_in_development(tmp_path: Path) -> None:
    settings = Settings.load()
    assert {name: getattr(settings, name) for name in _DEFAULTS} == _DEFAULTS
    assert settings.data_dir == tmp_path / ".dev"
    assert not settings.is_production


def test_production_logs_json_by_default() -> None:
    settings = _load(**_PRODUCTION)
    assert settings.is_production
    assert settings.log_format == "json"
    assert settings.database_url == Dsn.parse(_DATABASE_URL)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("HOST", "::", "::"),
        ("PORT", "0", 0),
        ("PORT", "65535", 65535),
        ("JWT_ISSUER", "tasks.example.com", "tasks.example.com"),
        ("JWT_SECRET", "é" * 16, "é" * 16),  # 32 bytes, which is what counts
        ("ACCESS_TOKEN_TTL", "1", 1),
        ("REFRESH_TOKEN_TTL", "2147483647", 2_147_483_647),
        ("LOGIN_FAILURES_PER_ACCOUNT", "1", 1),
        ("LOGIN_FAILURES_PER_ADDRESS", "2147483647", 2_147_483_647),
        ("TRUSTED_PROXIES", "10.0.0.1", (ip_network("10.0.0.1/32"),)),
        ("TRUSTED_PROXIES", " 10.0.0.0/8 , 2001:db8::/32 ,", (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))),
        ("TRUSTED_PROXIES", "", ()),
        ("BCRYPT_COST", "4", 4),
        ("POOL_MAX_OVERFLOW", "0", 0),
        ("POOL_TIMEOUT", "0.5", 0.5),
        ("WORKERS", "64", 64),
        ("CORS_ORIGINS", "https://app.example.com", {"https://app.example.com"}),
        (
            "CORS_ORIGINS",
            " https://a.example , https://b.example:8443 ,",
            {"https://a.example", "https://b.example:8443"},
        ),
        ("CORS_ORIGINS", "http://localhost:5173,http://[::1]:5173", {"http://localhost:5173", "http://[::1]:5173"}),
        ("CORS_ORIGINS", "https://a.example,https://a.example", {"https://a.example"}),
        ("CORS_ORIGINS", "chrome-extension://abcdefghijklmnop", {"chrome-extension://abcdefghijklmnop"}),
        ("CORS_ORIGINS", "https://xn--bcher-kva.example", {"https://xn--bcher-kva.example"}),
        ("CORS_ORIGINS", "http://app.example.com:443", {"http://app.example.com:443"}),
        ("CORS_ORIGINS", "http://192.0.2.1:8080", {"http://192.0.2.1:8080"}),
        ("CORS_ORIGINS", "", frozenset()),
        ("CORS_ORIGINS", " , ", frozenset()),
        ("REQUIRE_IF_MATCH", "true", True),
        ("REQUIRE_IF_MATCH", "0", False),
        ("DEBUG", "true", True),
        ("LOG_LEVEL", "warning", "warning"),
        ("LOG_FORMAT", "json", "json"),
    ],
)
def test_a_variable_sets_what_bears_its_name(name: str, text: str, value: object) -> None:
    assert getattr(_load(**{name: text}), name.lower()) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("APP_ENV", "staging"),
        ("APP_ENV", ""),
        ("DATABASE_URL", ""),
        ("DATABASE_URL", "mysql://owner@localhost/tasks"),
        ("PORT", "http"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("JWT_SECRET", ""),
        ("JWT_SECRET", "x" * 31),
        ("JWT_SECRET", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
        ("JWT_SECRET", '{"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQ"}'),
        ("JWT_KEYS", ""),
        ("JWT_KEYS", "/nowhere/keys"),
        ("JWT_KEYS", "/dev/null"),
        ("PASSWORD_PEPPER", "x" * 31),
        ("JWT_ISSUER", " "),
        ("JWT_AUDIENCE", ""),
        ("ACCESS_TOKEN_TTL", "0"),
        ("ACCESS_TOKEN_TTL", "2147483648"),
        ("REFRESH_TOKEN_TTL", "0"),
        ("REFRESH_TOKEN_TTL", "30 days"),
        ("REFRESH_TOKEN_TTL", "2147483648"),
        ("LOGIN_FAILURES_PER_ACCOUNT", "0"),
        ("LOGIN_FAILURES_PER_ACCOUNT", "2147483648"),
        ("LOGIN_FAILURES_PER_ADDRESS", "-1"),
        ("LOGIN_FAILURES_PER_ADDRESS", "many"),
        ("TRUSTED_PROXIES", "*"),
        ("TRUSTED_PROXIES", "proxy.example.com"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("TRUSTED_PROXIES", "10.0.0.1 10.0.0.2"),
        ("BCRYPT_COST", "3"),
        ("BCRYPT_COST", "32"),
        ("POOL_SIZE", "0"),
        ("POOL_SIZE", "1.5"),
        ("POOL_SIZE", ""),
        ("POOL_MAX_OVERFLOW", "-1"),
        ("POOL_TIMEOUT", "0"),
        ("POOL_RECYCLE", "nan"),
        ("DB_CONNECT_TIMEOUT", "inf"),
        ("STATEMENT_TIMEOUT", "-1"),
        ("MAX_BODY_BYTES", "0"),
        ("READ_TIMEOUT", "soon"),
        ("WORKERS", "0"),
        ("WORKERS", "65"),
        ("WORKERS", "auto"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "null"),
        ("CORS_ORIGINS", "app.example.com"),
        ("CORS_ORIGINS", "https://"),
        ("CORS_ORIGINS", "https://*.example.com"),
        ("CORS_ORIGINS", "https://app.example.com/"),
        ("CORS_ORIGINS", "https://app.example.com/path"),
        ("CORS_ORIGINS", "https://App.example.com"),
        ("CORS_ORIGINS", "HTTPS://app.example.com"),
        ("CORS_ORIGINS", "https://user@app.example.com"),
        ("CORS_ORIGINS", "https://app.example.com?q"),
        ("CORS_ORIGINS", "https://app.example.com:"),
        ("CORS_ORIGINS", "https://app.example.com:port"),
        ("CORS_ORIGINS", "https://app.example.com:443"),
        ("CORS_ORIGINS", "http://app.example.com:80"),
        ("CORS_ORIGINS", "https://app.example.com:08443"),
        ("CORS_ORIGINS", "https://app.example.com:65536"),
        ("CORS_ORIGINS", "https://bücher.example"),
        ("CORS_ORIGINS", "https://a.example https://b.example"),
        ("CORS_ORIGINS", "https://a.example;https://b.example"),
        ("CORS_ORIGINS", "https://a.example,b.example"),
        ("REQUIRE_IF_MATCH", "perhaps"),
        ("REQUIRE_IF_MATCH", ""),
        ("SHUTDOWN_TIMEOUT", "0"),
        ("DEBUG", "perhaps"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
    ],
)
def test_a_wrong_setting_is_named_with_its_reason(name: str, text: str) -> None:
    faults = _faults(**{name: text})
    assert list(faults) == [name]
    assert all(reason.endswith((".", "=require).")) or reason for reason in faults[name])
    assert faults[name]


def test_every_fault_is_told_at_once() -> None:
    wrong = {"PORT": "http", "BCRYPT_COST": "3", "POOL_SIZE": "0", "LOG_LEVEL": "loud", "DATABASE_URL": "mysql://h/d"}
    with pytest.raises(SettingsError) as refused:
        _load(**wrong)
    assert refused.value.faults.keys() == wrong.keys()
    assert all(f"{name}: " in str(refused.value) for name in wrong)


def test_production_generates_nothing_and_names_all_that_is_missing(tmp_path: Path) -> None:
    faults = _faults(APP_ENV="production", DATA_DIR=str(tmp_path / "data"))
    assert faults.keys() == {"DATABASE_URL", "JWT_SECRET", "PASSWORD_PEPPER"}
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", ["JWT_SECRET", "PASSWORD_PEPPER"])
def test_production_refuses_a_short_secret_without_repeating_it(name: str) -> None:
    faults = _faults(**{**_PRODUCTION, name: "short-canary"})
    assert list(faults) == [name]
    assert "32 bytes" in faults[name][0]
    assert "canary" not in str(SettingsError(faults))


def test_no_secret_is_in_what_settings_print() -> None:
    settings = _load(**_PRODUCTION)
    assert "canary" not in f"{settings!r} {settings!s}"
    assert settings.jwt_secret == _SECRETS["JWT_SECRET"]
    assert settings.password_pepper == _SECRETS["PASSWORD_PEPPER"]


def test_no_secret_is_in_what_a_refusal_says() -> None:
    with pytest.raises(SettingsError) as refused:
        _load(**{**_PRODUCTION, "DATABASE_URL": _DATABASE_URL + "&nonsense=1", "PORT": "http"})
    assert refused.value.faults.keys() == {"DATABASE_URL", "PORT"}
    assert "canary" not in f"{refused.value!s} {refused.value!r} {refused.value.faults}"


def test_development_keeps_the_secrets_that_it_generates() -> None:
    first, second = Settings.load(), Settings.load()
    for name in ("jwt_secret", "password_pepper"):
        file = first.data_dir / name
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.read_text() == getattr(first, name) == getattr(second, name)
        assert len(getattr(first, name)) >= 32
    assert first.jwt_secret != first.password_pepper
    assert sorted(path.name for path in first.data_dir.iterdir()) == ["jwt_secret", "password_pepper"]


def test_a_secret_that_is_given_is_not_kept() -> None:
    settings = _load(**_SECRETS)
    assert settings.jwt_secret == _SECRETS["JWT_SECRET"]
    assert not settings.data_dir.exists()


def _keys_in(folder: Path) -> str:
    """Make a folder with a key, and return its name."""
    write_key(folder, "ed25519", datetime.now(UTC))
    return str(folder)


def test_keys_take_the_place_of_the_secret(tmp_path: Path) -> None:
    settings = _load(JWT_KEYS=_keys_in(tmp_path / "keys"))
    assert [key.algorithm for key in settings.jwt_keys] == ["EdDSA"]
    assert settings.jwt_secret == ""
    assert [file.name for file in settings.data_dir.iterdir()] == ["password_pepper"]


def test_production_needs_a_secret_or_keys(tmp_path: Path) -> None:
    without_secret = {name: value for name, value in _PRODUCTION.items() if name != "JWT_SECRET"}
    assert list(_faults(**without_secret)) == ["JWT_SECRET"]
    settings = _load(**without_secret, JWT_KEYS=_keys_in(tmp_path / "keys"))
    assert (settings.jwt_secret, len(settings.jwt_keys)) == ("", 1)


def test_keys_and_a_secret_can_be_given_together(tmp_path: Path) -> None:
    settings = _load(**_PRODUCTION, JWT_KEYS=_keys_in(tmp_path / "keys"))
    assert (settings.jwt_secret, len(settings.jwt_keys)) == (_SECRETS["JWT_SECRET"], 1)
    assert list(_faults(JWT_SECRET="x" * 31)) == ["JWT_SECRET"]


def test_no_private_key_is_in_what_settings_print(tmp_path: Path) -> None:
    settings = _load(JWT_KEYS=_keys_in(tmp_path / "keys"))
    assert settings.jwt_keys[0].id in repr(settings)
    assert "PrivateKey" not in repr(settings)


def test_migrations_read_no_key(tmp_path: Path) -> None:
    os.environ.update({"JWT_KEYS": str(tmp_path / "nowhere")})
    assert Settings.load(with_keys=False).jwt_keys == ()


def test_first_starts_at_the_same_moment_agree_on_the_secrets() -> None:
    code = "from service.settings import Settings; s = Settings.load(); print(s.jwt_secret, s.password_pepper)"
    with_service = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    starts = [
        subprocess.Popen([sys.executable, "-c", code], env=with_service, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert len({start.communicate(timeout=30)[0] for start in starts}) == 1
    assert all(start.returncode == 0 for start in starts)


def test_a_data_folder_that_cannot_be_made_is_a_wrong_setting() -> None:
    faults = _faults(DATA_DIR="/dev/null/data")
    assert list(faults) == ["DATA_DIR"]


def test_migrations_need_the_database_and_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("APP_ENV", "production")
    with pytest.raises(SettingsError) as refused:
        Settings.load(with_keys=False)
    assert list(refused.value.faults) == ["DATABASE_URL"]
    monkeypatch.setenv("DATABASE_URL", _DATABASE_URL)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    settings = Settings.load(with_keys=False)
    assert (settings.jwt_secret, settings.password_pepper) == ("", "")
    assert not settings.data_dir.exists()


def test_the_env_file_fills_in_what_the_environment_leaves_out() -> None:
    Path(".env").write_text("PORT=8001\nLOG_LEVEL=error\n")
    settings = _load(PORT="8002")
    assert settings.port == 8002
    assert settings.log_level == "error"


def test_a_wrong_line_of_the_env_file_is_a_fault_like_any_other() -> None:
    Path(".env").write_text("PORT=http\n")
    assert list(_faults()) == ["PORT"]


def test_production_does_not_read_the_env_file() -> None:
    Path(".env").write_text("PORT=8001\nLOG_LEVEL=loud\n")
    settings = _load(**_PRODUCTION)
    assert settings.port == 8000
    assert settings.log_level == "info"


def test_an_env_file_in_a_parent_folder_is_nobodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("PORT=8001\n")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert Settings.load().port == 8000


def _documented() -> dict[str, str]:
    """The variables of docs/settings.md, with the default of each as it stands there."""
    text = (_ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `([A-Z_]+)` \| (.+?) \|", text, re.MULTILINE))


def _exemplified() -> dict[str, str]:
    """The variables of .env.example, with the value of each."""
    return dict(re.findall(r"^#([A-Z_]+)=(.*)$", (_ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("described", [_documented, _exemplified])
def test_every_setting_is_described_and_nothing_else_is(described: Callable[[], dict[str, str]]) -> None:
    assert sorted(described()) == sorted(field.name.upper() for field in dataclasses.fields(Settings))


def test_a_setting_has_the_default_that_is_told_of_it() -> None:
    told = {name: match[1] for name, default in _documented().items() if (match := re.match(r"`(.+?)`", default))}
    assert len(told) >= 25
    given = {name: value for name, value in _exemplified().items() if value}
    assert given == told
    default = Settings.load()
    for name, value in told.items():
        assert getattr(_load(**{name: value}), name.lower()) == getattr(default, name.lower()), name


def test_settings_cannot_be_changed() -> None:
    settings = Settings.load()
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.port = 1  # type: ignore[misc]  # that it is refused is the point
