"""The tests of tasks share a service, module by module."""

from tests.http.sharing import alice, anybody, bob, connection, new_user, service, shelf  # noqa: F401 -- fixtures
