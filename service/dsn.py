"""PostgreSQL connection strings: every spelling that people paste, normalised once.

asyncpg serves requests and psycopg migrates; they read different parameters of a connection string, and asyncpg turns
one it does not know into a server setting, which the server then refuses. So a string is taken apart here, what is
unknown is refused by name, and what a driver cannot honour is said. TLS is never weakened.
"""

from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

_SCHEMES = frozenset(
    {"postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg", "postgresql+psycopg2", "postgres+asyncpg"}
)
# The weakest first.
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# SQLAlchemy's asyncpg dialect spells sslmode as `ssl`, and some tools write a flag there.
_SSL_FLAGS = {"true": "require", "1": "require", "on": "require", "false": "disable", "0": "disable", "off": "disable"}
# Both drivers read these.
_SHARED = frozenset(
    {
        "application_name",
        "options",
        "sslcert",
        "sslcrl",
        "sslkey",
        "sslmode",
        "sslrootcert",
        "target_session_attrs",
    }
)
# Only libpq, and so psycopg, reads these.
_LIBPQ_ONLY = frozenset(
    {
        "channel_binding",
        "connect_timeout",
        "gssencmode",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "tcp_user_timeout",
    }
)
_LIBPQ_NOTES = {
    "channel_binding": "SCRAM without channel binding is used while serving; TLS stays as sslmode asks",
    "connect_timeout": "DB_CONNECT_TIMEOUT decides",
}


@dataclass(frozen=True, slots=True)
class Dsn:
    """One database, as both drivers can reach it. The password is in no repr.

    Attributes:
        user, password, host, port, database: as in the string; None where it leaves them to the driver's default.
        parameters: the connection parameters, normalised; `sslmode` among them where the string asks for one.
        notes: what the string asks for that will not be honoured as written, one sentence each, to be said at start.
    """

    database: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    host: str | None = None
    port: int | None = None
    parameters: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a connection string.

        Raises:
            ValueError: says what is wrong, never quoting a user name or a password.
        """
        try:
            parts = urlsplit(text.strip())
            port = parts.port
        except ValueError:
            raise ValueError("Not a URL: the host or the port cannot be read.") from None
        if parts.scheme not in _SCHEMES:
            raise ValueError("Not a PostgreSQL URL: it must begin with postgresql:// or postgres://.")
        database = unquote(parts.path.removeprefix("/"))
        if not database:
            raise ValueError("No database is named: postgresql://user:password@host:5432/DATABASE.")
        given = _read_parameters(parts.query)
        host = given.pop("host", None) or parts.hostname
        notes = [
            f"{name} is not supported by asyncpg: {_LIBPQ_NOTES.get(name, 'it is used by migrations only')}."
            for name in sorted(given.keys() & _LIBPQ_ONLY)
        ]
        if "sslmode" not in given and not _is_local(host):
            notes.append("no sslmode is given: TLS is used only where the server offers it (sslmode=require insists).")
        return cls(
            database=database,
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            host=host,
            port=port,
            parameters=tuple(sorted(given.items())),
            notes=tuple(notes),
        )

    @property
    def is_pooled(self) -> bool:
        """True if the host is a Neon `-pooler`: PgBouncer in transaction mode, where no session state survives."""
        return self.host is not None and "-pooler." in self.host

    @property
    def asyncpg_url(self) -> str:
        """The connection string for asyncpg, with nothing in it that asyncpg would hand on to the server by mistake."""
        return self._url("postgresql", dict(pair for pair in self.parameters if pair[0] in _SHARED))

    @property
    def libpq_url(self) -> str:
        """The connection string for psycopg and for PostgreSQL's own programs."""
        return self._url("postgresql", dict(self.parameters))

    @property
    def yoyo_url(self) -> str:
        """The connection string for yoyo, which picks psycopg 3 by this scheme alone."""
        return self._url("postgresql+psycopg", dict(self.parameters))

    @property
    def direct(self) -> Self:
        """The same database without the pooler in between, for what needs a session: locks and migrations."""
        return replace(self, host=self.host.replace("-pooler.", ".", 1)) if self.is_pooled and self.host else self

    def __str__(self) -> str:
        """Name the database for a log line: host, port and database, no user and no password."""
        return f"{self.host or 'localhost'}:{self.port or 5432}/{self.database}"

    def _url(self, scheme: str, parameters: dict[str, str]) -> str:
        credentials = quote(self.user, safe="") if self.user else ""
        if self.password:
            credentials += ":" + quote(self.password, safe="")
        host = self.host or ""
        if host.startswith("/"):
            # The folder of a Unix socket is no host of a URL, and neither driver reads a port without a host there.
            parameters = parameters | {"host": host} | ({"port": str(self.port)} if self.port else {})
            address = ""
        else:
            address = f"[{host}]" if ":" in host else host
            address += f":{self.port}" if self.port else ""
        authority = f"{credentials}@{address}" if credentials else address
        query = f"?{urlencode(parameters, quote_via=quote)}" if parameters else ""
        return f"{scheme}://{authority}/{quote(self.database, safe='')}{query}"


def _read_parameters(query: str) -> dict[str, str]:
    """Read the parameters, refusing unknown ones: a misspelt sslmode must not pass for one."""
    given = dict(parse_qsl(query, keep_blank_values=True))
    modes = [given["sslmode"]] if "sslmode" in given else []
    if "ssl" in given:
        asked = given.pop("ssl").lower()
        modes.append(_SSL_FLAGS.get(asked, asked))
    if any(mode not in _SSL_MODES for mode in modes):
        raise ValueError(f"Unknown sslmode: it must be one of {', '.join(_SSL_MODES)}.")
    if modes:
        given["sslmode"] = max(modes, key=_SSL_MODES.index)  # Where two are given, the stricter holds.
    if unknown := sorted(given.keys() - _SHARED - _LIBPQ_ONLY - {"host"}):
        # What is no plain name may be the end of a password that was not percent-encoded, and is not repeated.
        named = ", ".join(name for name in unknown if name.isidentifier())
        raise ValueError(f"Unknown parameter: {named or 'percent-encode / ? # and @ in the password'}.")
    return given


def _is_local(host: str | None) -> bool:
    return host is None or host.startswith("/") or host in {"localhost", "127.0.0.1", "::1"}
