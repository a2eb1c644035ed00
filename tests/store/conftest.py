"""Stores on both databases, and events as a node would make them.

PostgreSQL runs as a private server of each test process, on a socket in a folder of its own.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from engine.model.events import (
    AnyEvent,
    CallEnded,
    CallScreened,
    CallStage,
    CallStarted,
    Party,
    Record,
)
from engine.model.ids import CallId, CaseId, EventId, NumberId, TenantId
from engine.model.outcome import Blame, Outcome
from engine.store.database import Database
from engine.store.entries import LeadRule
from engine.store.store import Store
from engine.store.tables import metadata
from scoring.numbers import canonical_id

EPOCH = 1_700_000_000.0
_names = count()


def _postgres_programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    if initdb is None:
        pytest.skip("PostgreSQL is not installed (apt install postgresql)")
    return Path(initdb).parent


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A PostgreSQL server of our own; its socket's folder. As root it runs as the user postgres."""
    programs = _postgres_programs()
    # A short path: sockets have names of at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="rw-pg-"))
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        try:
            owner = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL refuses to run as root and there is no user postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        user = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": [], "cwd": folder}
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    data = folder / "data"
    subprocess.run(
        [programs / "initdb", "-D", data, "-U", "ringward", "-A", "trust", "-E", "UTF8", "--no-sync"],
        check=True,
        **user,
        **quiet,
    )
    settings = {"listen_addresses": "", "unix_socket_directories": str(folder), "fsync": "off"}
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    server = subprocess.Popen([programs / "postgres", "-D", data, *options], **user, **quiet)
    try:
        while subprocess.run([programs / "pg_isready", "-h", folder], check=False, **quiet).returncode:
            assert server.poll() is None, "PostgreSQL did not start"
            time.sleep(0.05)
        yield str(folder)
    finally:
        server.send_signal(signal.SIGQUIT)  # its data is thrown away
        server.wait()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_template(postgres: str) -> str:
    """The name of a database with the newest schema."""
    _create_database(postgres, "migrated")
    _migrate(_postgres_url(postgres, "migrated"))
    return "migrated"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with the newest schema."""
    path = tmp_path_factory.mktemp("sqlite") / "migrated.sqlite"
    _migrate(_sqlite_url(path))
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def empty_url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without any table, on either kind."""
    if kind == "sqlite":
        return _sqlite_url(tmp_path / "store.sqlite")
    folder = request.getfixturevalue("postgres")
    name = f"store_{next(_names)}"
    _create_database(folder, name)
    return _postgres_url(folder, name)


@pytest.fixture
def url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with empty tables, on either kind."""
    if kind == "sqlite":
        path = tmp_path / "store.sqlite"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        return _sqlite_url(path)
    folder = request.getfixturevalue("postgres")
    name = f"store_{next(_names)}"
    _create_database(folder, name, request.getfixturevalue("postgres_template"))
    return _postgres_url(folder, name)


def _sqlite_url(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


def _postgres_url(folder: str, name: str) -> str:
    return f"postgresql+asyncpg://ringward@/{name}?host={folder}"


def _create_database(folder: str, name: str, template: str = "template0") -> None:
    createdb = _postgres_programs() / "createdb"
    subprocess.run([createdb, "-h", folder, "-U", "ringward", "-T", template, name], check=True)


def _migrate(url: str) -> None:
    async def migrate() -> None:
        database = Database(url)
        await database.migrate()
        await database.close()

    asyncio.run(migrate())


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    """A store where warned victims are called back 5 s later."""
    async with await Store.open(
        url, file_number=file_number, lead_rule=LeadRule(enabled=True, delay_s=5.0)
    ) as store:
        yield store


class Contents:
    """Looks at the tables behind a store's back."""

    def __init__(self, url: str) -> None:
        self._database = Database(url)

    async def rows(self, tenant: str, *without: str) -> dict[str, list[dict[str, Any]]]:
        """All rows of one tenant by table, sorted, without the tenant and the columns named."""
        found: dict[str, list[dict[str, Any]]] = {}
        async with self._database.read() as connection:
            for table in metadata.sorted_tables:
                rows = await connection.execute(select(table).where(table.c.tenant_id == tenant))
                found[table.name] = sorted(
                    (
                        {name: value for name, value in row.items() if name not in ("tenant_id", *without)}
                        for row in rows.mappings()
                    ),
                    key=repr,
                )
        return found

    async def execute(self, statement: str) -> None:
        async with self._database.write() as connection:
            await connection.exec_driver_sql(statement)

    async def close(self) -> None:
        await self._database.close()


@pytest.fixture
async def contents(url: str, store: Store) -> AsyncIterator[Contents]:
    found = Contents(url)
    yield found
    await found.close()


def file_number(tenant: TenantId, number: str) -> NumberId:
    return NumberId(canonical_id(b"k" * 32, tenant, number))


def party(number: str, tenant: TenantId) -> Party:
    return Party(number, file_number(tenant, number))


class Node:
    """Makes the records of one boot of a node. Times are seconds since the test's own epoch."""

    def __init__(self, tenant: str = "lab", name: str = "node-1", boot: int = 1) -> None:
        self.tenant = TenantId(tenant)
        self.name = name
        self.boot = boot
        self._seq = 0

    def record(self, at: float, event: AnyEvent) -> Record:
        self._seq += 1
        return Record(
            id=EventId(self.name, self.boot, self._seq), at=EPOCH + at, tenant=self.tenant, event=event
        )

    def call(
        self,
        call_id: str,
        at: float = 0.0,
        *,
        action: str = "allow",
        calling: str = "+8617000000003",
        called: str = "+8613800138000",
        direction: str = "inbound",
        answered: bool = True,
        case_id: str | None = None,
    ) -> list[Record]:
        """A whole call: started, screened, connected where it was answered, ended 60 s later."""
        call = CallId(call_id)
        started = CallStarted(
            call_id=call,
            direction=direction,
            trunk="carrier",
            calling=party(calling, self.tenant),
            called=party(called, self.tenant),
            display=f"Bank {calling}",
            sip_call_id=f"{call_id}@10.0.0.1",
            case_id=None if case_id is None else CaseId(case_id),
        )
        screened = CallScreened(
            call_id=call,
            action=action,
            rule="table",
            reason="police_list",
            level="red",
            policy_version="7",
            table_version=3,
        )
        stages = ["routed", "ringing", "connected"] if answered else ["routed", "ringing"]
        ended = CallEnded(
            call_id=call,
            outcome=Outcome(Blame.CALLEE, "hung_up" if answered else "busy"),
            status=200 if answered else 486,
            answered=answered,
            duration_ms=50_000 if answered else 0,
        )
        return [
            self.record(at, started),
            self.record(at, screened),
            *(
                self.record(at + 1 + n, CallStage(call_id=call, stage=stage))
                for n, stage in enumerate(stages)
            ),
            self.record(at + 60, ended),
        ]


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
def make_node() -> type[Node]:
    return Node
