"""Fixtures: media workers that end with the test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.media.port import WorkerPort
from engine.media.settings import WorkerSettings
from tests.media.harness import FIRST_PORT, HOST, LAST_PORT, Lab, MakeLab


@pytest.fixture
async def make_lab(tmp_path: Path) -> AsyncIterator[MakeLab]:
    labs: list[Lab] = []

    async def make(**changes: object) -> Lab:
        values = {
            "name": "test.media",
            "host": HOST,
            "first_port": FIRST_PORT,
            "last_port": LAST_PORT,
            "prompts_folder": str(tmp_path / "prompts"),
            "recordings_folder": str(tmp_path / "recordings"),
            "chain_heads": str(tmp_path / "chain" / "heads.jsonl"),
            "chain_key": str(tmp_path / "chain" / "key.pem"),
        } | changes
        lab = Lab(tmp_path, WorkerSettings(**values))  # type: ignore[arg-type]
        lab.port = await WorkerPort.start(lab.settings, lab.on_event, lab.on_alarm)
        labs.append(lab)
        return lab

    yield make
    for lab in labs:
        await lab.close()


@pytest.fixture
async def lab(make_lab: MakeLab) -> Lab:
    return await make_lab()
