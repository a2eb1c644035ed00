"""`ringward config check` reads what the system would read, and says what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.app import agent
from engine.cli.config import app

CONFIG = Path(__file__).parents[2] / "lab" / "loopback.toml"


def check(*overrides: str) -> tuple[int, str]:
    sets = [word for override in overrides for word in ("--set", override)]
    result = CliRunner().invoke(app, ["check", "--config", str(CONFIG), *sets])
    return result.exit_code, result.output


def test_the_lab_configuration_is_usable() -> None:
    code, said = check()
    assert code == 0, said
    for words in ("policy default", "announcements in en, zh-CN", "scripts: general", "3 risk numbers"):
        assert words in said
    assert said.endswith("configuration is usable\n")


def test_a_shadow_policy_is_read_too(tmp_path: Path) -> None:
    shadow = tmp_path / "shadow.toml"
    shadow.write_text("name = 1\n")
    code, said = check(f"screening.shadow_policy={shadow}")
    assert (code, "shadow.toml" in said) == (1, True)


def test_scripts_are_held_against_the_wording_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    general = CONFIG.parents[1] / "dialplans" / "dissuasion" / "general.toml"
    (tmp_path / "dissuasion").mkdir()
    text = general.read_text(encoding="utf-8").replace("\nbarge_in = false", "\nbarge_in = true")
    (tmp_path / "dissuasion" / "general.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(agent, "dialplans_folder", lambda: tmp_path)
    code, said = check()
    assert (code, "the first sentence can be interrupted" in said) == (1, True)


def test_show_prints_every_key_but_no_password() -> None:
    sets = ["--set", "trunk.carrier.username=ringward", "--set", "trunk.carrier.password=secret-word"]
    sets += ["--set", "metrics.token=secret-word"]
    said = CliRunner().invoke(app, ["show", "--config", str(CONFIG), *sets]).output
    carrier = json.loads(said)["trunk"]["carrier"]
    assert (carrier["username"], carrier["password"]) == ("ringward", "(set)")
    assert json.loads(said)["metrics"]["token"] == "(set)"
    assert "secret-word" not in said
    assert json.loads(said)["sip"]["listen"] == "127.0.20.1:5060"
