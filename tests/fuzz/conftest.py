"""Fixtures for requests that nobody wrote down. The tests share a service, module by module."""

import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

from tests.sharing import *  # noqa: F403 -- fixtures

# What `make fuzz` spends on a property, where `make test` spends Hypothesis' default of 100.
settings.register_profile("fuzz", max_examples=600)


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    """Keep ten thousand requests out of what the tests print; what goes wrong is still said."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    yield
    structlog.reset_defaults()
