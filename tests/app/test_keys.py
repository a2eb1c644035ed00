"""Keys are made once, whole, and for their owner only."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.app.config import ConfigError
from engine.app.keys import KEY_BYTES, load_keys
from engine.model.ids import TenantId
from scoring.numbers import Numbering, number_id

LAB = TenantId("lab")


def test_made_once_for_the_owner_only(tmp_path: Path) -> None:
    keys = load_keys(tmp_path)
    path = tmp_path / "keys" / "number_id.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(keys.number_id) == KEY_BYTES
    assert load_keys(tmp_path) == keys
    assert [entry.name for entry in path.parent.iterdir()] == ["number_id.key"]
    assert keys.number_id.hex() not in repr(keys)


def test_another_folder_has_another_key(tmp_path: Path) -> None:
    assert load_keys(tmp_path / "a") != load_keys(tmp_path / "b")


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len({keys.number_id for keys in pool.map(load_keys, [tmp_path] * 8)}) == 1


def test_a_damaged_or_open_key_is_refused(tmp_path: Path) -> None:
    load_keys(tmp_path)
    path = tmp_path / "keys" / "number_id.key"
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_keys(tmp_path)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(ConfigError, match="5 bytes"):
        load_keys(tmp_path)


def test_a_number_is_filed_under_one_id_however_it_is_written(tmp_path: Path) -> None:
    keys = load_keys(tmp_path)
    number = Numbering().normalise("0086 138 0013 8000")
    assert keys.file_number(LAB, number.display) == number_id(keys.number_id, LAB, number)
    assert keys.file_number(LAB, "+86138*") != keys.file_number(LAB, "+86138")
    assert keys.file_number(TenantId("other"), number.display) != keys.file_number(LAB, number.display)
