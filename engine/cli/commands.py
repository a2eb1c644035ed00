"""The commands of `ringward`; the lab adds its own by the entry-point group `ringward.commands`.

Only the command that was named is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Final

import typer

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "up": ("engine.cli.serve", "up"),
    "engine": ("engine.cli.serve", "engine"),
    "console": ("engine.cli.serve", "console"),
    "agent": ("engine.cli.serve", "agent"),
    "edge": ("engine.cli.serve", "edge"),
    "explain": ("engine.cli.explain", "explain_call"),
    "calls": ("engine.cli.calls", "app"),
    "table": ("engine.cli.table", "app"),
    "recordings": ("engine.cli.recordings", "app"),
    "config": ("engine.cli.config", "app"),
}
"""Name → module and attribute, in the order of `--help`."""
_HIDDEN: Final = ("agent",)


def command_line(wanted: str | None) -> typer.Typer:
    """The command line with the one command `wanted`, or with all where that is none of ours."""
    app = typer.Typer(
        name="ringward",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        help="Screen calls, warn people, talk victims out of a fraud, and keep the evidence.\n\n"
        "Start with [bold]ringward demo[/] (or [bold]make run[/]): the whole system with lab phones.",
    )
    # a command alone would lose its name: Typer takes a single one for the whole program
    app.callback()(lambda: None)
    ours = {name: place for name, place in COMMANDS.items() if wanted == name or wanted not in _known()}
    for name, (module, attribute) in ours.items():
        _add(app, name, getattr(import_module(module), attribute))
    for entry in entry_points(group="ringward.commands"):
        if wanted == entry.name or wanted not in _known():
            _add(app, entry.name, entry.load())
    return app


def _known() -> frozenset[str]:
    return frozenset(COMMANDS) | entry_points(group="ringward.commands").names


def _add(app: typer.Typer, name: str, command: typer.Typer | Callable[..., Any]) -> None:
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=name)
    else:
        app.command(name, hidden=name in _HIDDEN)(command)
