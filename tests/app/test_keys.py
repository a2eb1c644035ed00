"""Keys are made once, whole, and for their owner only."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.app.config import ConfigError
from engine.app.keys import KEY_BYTES, load_keys


def test_made_once_for_the_owner_only(tmp_path: Path) -> None:
    keys = load_keys(tmp_path)
    path = tmp_path / "keys" / "number_id.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(keys.number_id) == KEY_BYTES
    assert load_keys(tmp_path) == keys
    assert {entry.name for entry in path.parent.iterdir()} == {"number_id.key", "bus.key", "card.key"}


def test_another_folder_has_another_key(tmp_path: Path) -> None:
    assert load_keys(tmp_path / "a") != load_keys(tmp_path / "b")


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len({keys.number_id for keys in pool.map(load_keys, [tmp_path] * 8)}) == 1


def test_a_damaged_key_is_refused(tmp_path: Path) -> None:
    load_keys(tmp_path)
    (tmp_path / "keys" / "number_id.key").write_bytes(b"short")
    with pytest.raises(ConfigError, match="found 5"):
        load_keys(tmp_path)
