"""Where things lie when the configuration does not say."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.app.config import load_config
from engine.app.paths import dialplans_folder


def test_data_lies_below_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_config(environment={})
    assert config.data.folder == tmp_path / "var" / "data"
    assert config.screening.policy == dialplans_folder() / "screening" / "default.toml"
    assert config.screening.policy.is_file()


def test_paths_given_are_those_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "etc" / "ringward.toml"
    file.parent.mkdir()
    file.write_text('[data]\nfolder = "../data"\n')
    given = load_config(file, ["screening.policy=mine.toml"], {})
    assert (given.data.folder, given.screening.policy) == (tmp_path / "data", tmp_path / "mine.toml")
