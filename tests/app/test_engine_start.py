"""An engine that cannot start says why in a line."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from engine.app.config import ConfigError, load_config
from engine.app.engine import run_engine
from engine.journal import Journal
from engine.model.config import Config


@pytest.fixture
def config(tmp_path: Path) -> Config:
    config = load_config(environment={})
    return msgspec.structs.replace(config, data=msgspec.structs.replace(config.data, folder=tmp_path))


async def start(config: Config) -> None:
    await run_engine(config, asyncio.Event(), lambda line: None)


async def test_a_second_engine_of_one_name_names_the_journal(config: Config) -> None:
    journal = Journal(config.journal_folder, f"{config.node.id}-{config.node.worker}", lambda: 0.0)
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
