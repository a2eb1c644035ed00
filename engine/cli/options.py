"""Options that every command shares, and errors as one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from engine.app.config import ConfigError, load_config
from engine.model.config import Config

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="TOML file, such as lab/loopback.toml. Without it: defaults."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override one key of the file; may be repeated."),
]

_errors = Console(stderr=True, highlight=False)


def read_config(path: Path | None, overrides: list[str] | None) -> Config:
    """The configuration, or exit code 2 with the reason."""
    try:
        return load_config(path, overrides or ())
    except ConfigError as error:
        fail(str(error), code=2)


def fail(message: str, code: int = 1) -> NoReturn:
    """Say why on standard error and exit."""
    _errors.print(f"[bold red]ringward:[/] {_escape(message)}", soft_wrap=True)
    raise typer.Exit(code)


@contextmanager
def reported(*kinds: type[Exception]) -> Iterator[None]:
    """Turn expected errors into one line and exit code 1."""
    try:
        yield
    except kinds as error:
        fail(str(error) or type(error).__name__)


def _escape(text: str) -> str:
    return text.replace("[", r"\[")
