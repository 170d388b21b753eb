"""These tests share a service, module by module."""

from tests.sharing import *  # noqa: F403 -- fixtures
