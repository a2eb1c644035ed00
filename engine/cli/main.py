"""`ringward`: one command for all; the lab adds its own by the entry-point group `ringward.commands`."""

from __future__ import annotations

from importlib.metadata import entry_points

import typer

from engine.cli import config, explain, recordings, serve, table

app = typer.Typer(
    name="ringward",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Screen calls, warn people, talk victims out of a fraud, and keep the evidence.\n\n"
    "Start with [bold]ringward demo[/] (or [bold]make run[/]): the whole system with lab phones on loopback.",
)

app.command("up")(serve.up)
app.command("engine")(serve.engine)
app.command("console")(serve.console)
app.command("agent", hidden=True)(serve.agent)
app.command("explain")(explain.explain_call)
app.add_typer(table.app, name="table")
app.command("explain")(explain.explain_call)
app.add_typer(table.app, name="table")
app.add_typer(recordings.app, name="recordings")
app.add_typer(config.app, name="config")


def main() -> None:
    """Entry point of the `ringward` script."""
    for entry in sorted(entry_points(group="ringward.commands"), key=lambda found: found.name):
        command = entry.load()
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=entry.name)
        else:
            app.command(entry.name)(command)
    app()
