"""An engine that cannot start says why in a line."""

from __future__ import annotations

import socket
from pathlib import Path

import msgspec
import pytest

from engine.app.config import ConfigError, load_config
from engine.app.engine import run_engine
from engine.app.processes import Stop
from engine.journal import Journal
from engine.model.address import Address
from engine.model.config import Config, SipSection


@pytest.fixture
def config(tmp_path: Path) -> Config:
    config = load_config(environment={})
    return msgspec.structs.replace(config, data=msgspec.structs.replace(config.data, folder=tmp_path))


async def start(config: Config) -> None:
    await run_engine(config, Stop(), lambda line: None)


async def test_a_second_engine_of_one_name_names_the_journal(config: Config) -> None:
    journal = Journal(config.journal_folder, f"{config.node.id}-{config.node.worker}", 0.0)
    try:
        with pytest.raises(
            ConfigError, match=r"journal node-1-w1 cannot be opened: .*another process writes"
        ):
            await start(config)
    finally:
        journal.close()


async def test_a_journal_that_is_none_is_named(config: Config) -> None:
    config.journal_folder.mkdir()
    (config.journal_folder / "journal-node-1-w1.sqlite").write_text("not a database, and not empty either")
    with pytest.raises(ConfigError, match=r"journal node-1-w1 cannot be opened: file is not a database"):
        await start(config)


async def test_an_address_in_use_is_named(config: Config) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        listen = Address(*other.getsockname())
        with pytest.raises(
            ConfigError, match=rf"sip.listen: {listen} cannot be listened on: Address already"
        ):
            await start(msgspec.structs.replace(config, sip=SipSection(listen=listen)))


async def test_a_second_engine_leaves_the_firsts_table_alone(config: Config, tmp_path: Path) -> None:
    table = tmp_path / "other.csv"
    table.write_text("number,level,action,reason,expires\n")
    screening = msgspec.structs.replace(config.screening, table=table)
    journal = Journal(config.journal_folder, f"{config.node.id}-{config.node.worker}", 0.0)
    try:
        with pytest.raises(ConfigError, match="another process"):
            await start(msgspec.structs.replace(config, screening=screening))
    finally:
        journal.close()
    assert not config.hot_table.exists()
