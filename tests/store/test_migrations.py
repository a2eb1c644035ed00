"""The schema comes up from nothing, is what the tables say, and keeps the design's rules."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from engine.store.database import Database, alembic_config
from engine.store.tables import metadata


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": True}
    )
    return list(compare_metadata(context, metadata))


async def test_from_nothing_to_what_the_tables_say(empty_url: str) -> None:
    database = Database(empty_url)
    await database.migrate()
    async with database.write() as connection:
        assert await connection.run_sync(_differences) == []
    await database.close()


async def test_down_and_up_again(empty_url: str) -> None:
    database = Database(empty_url)
    await database.migrate()
    async with database.write() as connection:
        await connection.run_sync(lambda c: command.downgrade(alembic_config(c), "base"))
        assert await connection.run_sync(lambda c: inspect(c).get_table_names()) == ["alembic_version"]
    await database.migrate()
    await database.migrate()  # nothing to do
    async with database.write() as connection:
        assert await connection.run_sync(_differences) == []
    await database.close()


async def test_an_older_database_keeps_its_rows(empty_url: str) -> None:
    database = Database(empty_url)
    async with database.write() as connection:
        await connection.run_sync(lambda c: command.upgrade(alembic_config(c), "0001"))
        names = [
            row["name"]
            for row in await connection.run_sync(lambda c: inspect(c).get_columns("call"))
            if not row["nullable"]
        ]
        values = {
            name: "'2026-01-01 00:00:00'"
            if name == "started_at"
            else "FALSE"
            if name == "answered"
            else "'1'"
            for name in names
        }
        await connection.exec_driver_sql(
            f"INSERT INTO call ({', '.join(values)}) VALUES ({', '.join(values.values())})"
        )
    await database.migrate()
    async with database.read() as connection:
        rows = await connection.exec_driver_sql("SELECT call_id, boot FROM call")
        assert rows.all() == [("1", 0)]
    await database.close()


async def test_processes_that_start_at_once(empty_url: str) -> None:
    databases = [Database(empty_url) for _ in range(3)]
    await asyncio.gather(*(database.migrate() for database in databases))
    for database in databases:
        await database.close()


def test_a_new_file_is_in_wal_mode_before_anybody_opens_it(tmp_path: Path) -> None:
    """Processes that start at once would lock each other out when they switched it."""
    Database(f"sqlite+aiosqlite:///{tmp_path / 'store.sqlite'}")
    assert (tmp_path / "store.sqlite").read_bytes()[18:20] == b"\x02\x02"  # the file format's version numbers
    assert [path.name for path in tmp_path.iterdir()] == ["store.sqlite"]


async def test_sqlite_is_set_up_for_one_writer_and_many_readers(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'new folder' / 'store.sqlite'}")
    async with database.read() as connection:
        settings = {
            name: (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "busy_timeout", "foreign_keys", "synchronous")
        }
    assert settings == {"journal_mode": "wal", "busy_timeout": 10_000, "foreign_keys": 1, "synchronous": 1}
    await database.close()
    assert (tmp_path / "new folder" / "store.sqlite").stat().st_mode & 0o077 == 0


async def test_writers_that_read_first_do_not_fail(empty_url: str) -> None:
    """With a deferred BEGIN all but one of these would fail with "database is locked"."""
    databases = [Database(empty_url) for _ in range(5)]
    await databases[0].migrate()

    async def raise_version(database: Database) -> None:
        async with database.write() as connection:
            if not database.is_sqlite:
                await connection.exec_driver_sql("SELECT pg_advisory_xact_lock(1)")
            (version,) = (
                await connection.exec_driver_sql("SELECT coalesce(max(version), 0) FROM risk_table")
            ).one()
            await asyncio.sleep(0)
            await connection.exec_driver_sql("DELETE FROM risk_table")
            await connection.exec_driver_sql(f"INSERT INTO risk_table VALUES ('lab', {version + 1})")

    await asyncio.gather(*(raise_version(database) for database in databases))
    async with databases[0].read() as connection:
        assert (await connection.exec_driver_sql("SELECT version FROM risk_table")).scalar_one() == 5
    for database in databases:
        await database.close()


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.name)
def test_every_table_names_its_tenant(table: object) -> None:
    assert table.c.tenant_id.nullable is False  # type: ignore[attr-defined]


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.name)
def test_every_key_begins_with_the_tenant(table: object) -> None:
    keys = [list(table.primary_key.columns)]  # type: ignore[attr-defined]
    keys += [list(index.columns) for index in table.indexes]  # type: ignore[attr-defined]
    for key in keys:
        # Row ids are the hot table's, which all tenants share; work queues and nodes serve all of them.
        if key[0].name not in ("row_id", "state", "node"):
            assert key[0].name == "tenant_id"


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.name)
def test_names_fit_postgresql(table: object) -> None:
    dialect = postgresql.dialect()
    str(CreateTable(table).compile(dialect=dialect))  # type: ignore[arg-type]
    for index in table.indexes:  # type: ignore[attr-defined]
        assert len(str(CreateIndex(index).compile(dialect=dialect)).split()[2]) <= 63
