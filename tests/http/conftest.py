"""The tests of HTTP share a service, module by module."""

from tests.http.sharing import (  # noqa: F401 -- fixtures
    alice,
    anybody,
    bob,
    connection,
    new_database,
    new_user,
    service,
    shared_dsn,
    shelf,
)
