"""Building the assets: not twice for the same sources, and a plain word when the registry is out of reach."""

import shutil
from pathlib import Path

import pytest

from engine.console.build import CONSOLE, BuildError, build
from engine.console.render import SCRIPT, STYLE


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    ignore = shutil.ignore_patterns("node_modules")
    shutil.copytree(CONSOLE / "ts", tmp_path / "ts", ignore=ignore)
    shutil.copytree(CONSOLE / "css", tmp_path / "css")
    return tmp_path


def test_unchanged_sources_are_not_built_again() -> None:
    build()
    before = SCRIPT.stat().st_mtime_ns, STYLE.stat().st_mtime_ns
    assert build() is False
    assert before == (SCRIPT.stat().st_mtime_ns, STYLE.stat().st_mtime_ns)


def test_a_changed_source_is_built_and_checked(copy: Path) -> None:
    build()
    (copy / "ts" / "node_modules").symlink_to(CONSOLE / "ts" / "node_modules")
    assert build(copy) is True
    assert (copy / "static" / "dist" / "console.js").stat().st_size > 1000
    main = copy / "ts" / "src" / "main.ts"
    main.write_text(main.read_text() + "\nconst wrong: number = 'text';\nwrong.toFixed();\n")
    with pytest.raises(BuildError, match=r"type check failed[\s\S]*main\.ts"):
        build(copy)


def test_without_the_registry_the_error_says_what_to_do(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9/")
    monkeypatch.setenv("NPM_CONFIG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NPM_CONFIG_FETCH_RETRIES", "0")
    with pytest.raises(BuildError, match=r"come from the npm registry[\s\S]*NPM_CONFIG_REGISTRY"):
        build(copy)


def test_the_lock_names_no_registry() -> None:
    assert "http" not in (CONSOLE / "ts" / "package-lock.json").read_text().replace(
        "https://opencollective", ""
    )
