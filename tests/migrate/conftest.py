"""Databases that have had the example's migrations, and folders of a test's own."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from service.database import embedded
from service.dsn import Dsn
from service.migrate import runner
from service.migrate.snapshot import dump
from tests.conftest import connected
from tests.migrate.example import MIGRATIONS, Write, note_checksums


@pytest.fixture(scope="session")
async def template(postgres: embedded.Server) -> Dsn:
    """A database that has had every migration of the example, to be cloned: in the place of the service's."""
    async with connected(postgres.dsn) as administrator:
        await administrator.execute("CREATE DATABASE migrated_example")
    dsn = replace(postgres.dsn, database="migrated_example")
    await asyncio.to_thread(runner.apply, dsn, MIGRATIONS)
    return dsn


@pytest.fixture(scope="session")
def snapshot(template: Dsn, pg_dump: Path) -> str:
    """The schema that the example's migrations make, as `make schema` would write it."""
    return dump(template, pg_dump)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a migration and its rollback to a folder, and return the folder."""

    def write(id_: str, up: str, down: str | None = "-- Loses: nothing.\n") -> Path:
        (tmp_path / f"{id_}.sql").write_text(up)
        if down is not None:
            (tmp_path / f"{id_}.rollback.sql").write_text(down)
        note_checksums(tmp_path)
        return tmp_path

    return write
