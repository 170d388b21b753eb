"""These tests share a service, module by module."""

from tests.http.browsers import browser  # noqa: F401 -- a fixture
from tests.sharing import *  # noqa: F403 -- fixtures
