"""`ringward calls list|trace|trace-on|trace-off`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
import typer

from engine import logs
from engine.app.call_list import find_call, latest_calls
from engine.app.trace_switch import Mode, TraceSwitchError, turn_trace_off, turn_trace_on
from engine.cli import ladder_text
from engine.cli.options import ConfigFile, Overrides, fail, read_config, reported
from engine.model.ids import CallId
from engine.traces.files import read_trace
from engine.traces.ladder import ladder, sides_of

app = typer.Typer(no_args_is_help=True, help="List calls and show their SIP messages.")

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command("list")
def list_calls(
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="So many, the newest first.")] = 20,
    numbers: Annotated[bool, typer.Option("--numbers", help="Numbers in full instead of masked.")] = False,
    as_json: AsJson = False,
    config_file: ConfigFile = None,
    overrides: Overrides = None,
) -> None:
    """The latest calls of this data folder, with the ids that `ringward calls trace` takes.

    Example: ringward calls list --config lab/loopback.toml --limit 5
    """
    config = read_config(config_file, overrides)
    calls, problems = latest_calls(config.journal_folder, limit)
    for problem in problems:
        typer.echo(problem, err=True)
    if not numbers:
        for call in calls:
            call.calling, call.called = logs.mask(call.calling), logs.mask(call.called)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(calls), indent=2).decode())
        return
    if not calls:
        fail(f"no calls in {config.journal_folder}")
    for call in calls:
        at = datetime.fromtimestamp(call.at, UTC).strftime("%Y-%m-%d %H:%M:%S")
        typer.echo(
            f"{call.call_id}  {at}  {call.direction:<10}  {call.calling} -> {call.called}  "
            f"{call.action or '-'}  {call.outcome or 'up'}"
        )


@app.command()
def trace(
    call_id: Annotated[str, typer.Argument(help="As `ringward calls list` or the console shows it.")],
    full: Annotated[bool, typer.Option("--full", help="Also the text of each message.")] = False,
    as_json: AsJson = False,
    config_file: ConfigFile = None,
    overrides: Overrides = None,
) -> None:
    """Print a call's SIP messages on both legs as a ladder, with what was decided between them.

    Messages are kept only while `sip.trace` is on: see `ringward calls trace-on`. Their texts hold numbers in
    clear.

    Example: ringward calls trace 5f0c2a --full --config lab/loopback.toml
    """
    config = read_config(config_file, overrides)
    with reported(OSError):
        found = read_trace(config.traces_folder, CallId(call_id))
    if found is None:
        if find_call(config.journal_folder, CallId(call_id)):
            fail(f"the messages of call {call_id} were not kept, or no longer; see `ringward calls trace-on`")
        fail(f"no call {call_id} in {config.data.folder}; see `ringward calls list`")
    told = ladder(found, sides_of(config))
    if as_json:
        encoded = msgspec.json.encode(ladder_text.as_json(told, full=full))
        typer.echo(msgspec.json.format(encoded, indent=2).decode())
    else:
        for line in ladder_text.lines(told, full=full):
            typer.echo(line)


@app.command("trace-on")
def trace_on(
    by: Annotated[str, typer.Option("--by", help="Your name: it goes into the journal.")],
    limit: Annotated[
        str, typer.Option("--for", metavar="TIME", help="Such as 90s, 10m or 2h; 24h at most.")
    ] = "10m",
    full: Annotated[bool, typer.Option("--full", help="Session descriptions too.")] = False,
    config_file: ConfigFile = None,
    overrides: Overrides = None,
) -> None:
    """Keep the SIP messages of the calls that begin from now on, for a while, in every worker here.

    They hold numbers, names and addresses in clear. Credentials and texts of messages are never kept.

    Example: ringward calls trace-on --by li.na --for 10m --full
    """
    config = read_config(config_file, overrides)
    with reported(TraceSwitchError, OSError):
        mode: Mode = "full" if full else "headers"
        path = config.trace_switch_file
        switch = turn_trace_on(path, mode, by, datetime.now(UTC), _duration(limit))
    typer.echo(f"messages are kept ({mode}) until {switch.expires:%Y-%m-%d %H:%M:%S} UTC")


@app.command("trace-off")
def trace_off(config_file: ConfigFile = None, overrides: Overrides = None) -> None:
    """End what `trace-on` began; what was kept stays until it is too old."""
    config = read_config(config_file, overrides)
    with reported(OSError):
        turn_trace_off(config.trace_switch_file)
    typer.echo(f"the configuration counts: sip.trace = {config.sip.trace}")


def _duration(text: str) -> timedelta:
    """Raises TraceSwitchError."""
    found = re.fullmatch(r"([0-9]{1,6})([smh])", text)
    if found is None:
        raise TraceSwitchError(f"--for {text}: expected a time such as 90s, 10m or 2h")
    return timedelta(seconds=int(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]])
