"""The database that the checks make for themselves, once for each version of PostgreSQL."""

from collections.abc import Iterator

import pytest

from service.database import embedded
from service.resources import resource_folder
from service.sqlcheck.scratch import Connection, scratch_database


@pytest.fixture(scope="session")
def scratch(postgres: embedded.Server) -> Iterator[Connection]:
    """A connection to a migrated database with rows. It is everybody's: what a test changes it rolls back."""
    with scratch_database(postgres.dsn, resource_folder("migrations")) as connection:
        yield connection
