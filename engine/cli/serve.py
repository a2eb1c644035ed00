"""The commands that run until told to stop: `up` and the processes that it keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine import logs
from engine.app.config import ConfigError
from engine.app.keys import bus_key_path, load_keys
from engine.app.processes import run, stop_event
from engine.app.supervisor import STOP_LIMIT_S, Child, ChildFailed, Supervisor
from engine.cli.options import ConfigFile, Overrides, fail, read_config
from engine.cli.serving import Options, say, serve
from engine.model.address import Address
from engine.model.config import Config

Supervised = Annotated[bool, typer.Option("--supervised", hidden=True)]
"""Given by `up`: end when it dies."""


def engine(
    config_file: ConfigFile = None, overrides: Overrides = None, supervised: Supervised = False
) -> None:
    """Run one engine worker with its media worker, until Ctrl-C or SIGTERM.

    Prints one line with the word "listening" when it takes calls. Console, broker and the other processes
    are started by [bold]ringward up[/].

    Example: ringward engine --config lab/loopback.toml --set screening.table=numbers.csv
    """
    _serve("engine", config_file, overrides, supervised)


def console(
    config_file: ConfigFile = None, overrides: Overrides = None, supervised: Supervised = False
) -> None:
    """Run the centre: console, journal shipper, dialler and transcription over one store.

    Example: ringward console --config lab/loopback.toml --set console.port=8081
    """
    _serve("console", config_file, overrides, supervised)


def agent(
    config_file: ConfigFile = None, overrides: Overrides = None, supervised: Supervised = False
) -> None:
    """Run the dissuasion agent, a SIP user agent that the engine connects to victims."""
    _serve("agent", config_file, overrides, supervised)


def edge(config_file: ConfigFile = None, overrides: Overrides = None, supervised: Supervised = False) -> None:
    """Run the SIP edge for phones: registrar and outbound proxy by UDP, TCP, TLS and WebSocket.

    Example: ringward edge --config lab/edge.toml
    """
    _serve("edge", config_file, overrides, supervised)


def up(config_file: ConfigFile = None, overrides: Overrides = None) -> None:
    """Run the whole system: broker, console, agent, engine and media worker; restart what dies.

    Example: ringward up --config lab/demo.toml
    """
    config = read_config(config_file, overrides)
    logs.configure("up", config.logging.level, config.logging.format)
    raise typer.Exit(run(_up(config, config_file, overrides or [])))


def children(config: Config, config_file: Path | None, overrides: list[str]) -> list[Child]:
    """What `up` keeps running, in the order of starting."""
    kept: list[Child] = []
    overrides = list(overrides)
    if not config.bus.url:  # a URL of the configuration stays there: arguments are for everybody to read
        embedded = str(config.bus.embedded)
        overrides.append(f"bus.url=mqtt://{embedded}")
        key = str(bus_key_path(config.data.folder))
        kept.append(Child("broker", ("-m", "engine.bus.broker", embedded, key)))
    shared = ["--supervised", *(("--config", str(config_file)) if config_file is not None else ())]
    for override in overrides:
        shared += ["--set", override]
    # the console loads the CSV into the store and publishes the table; the engine only reads it
    from_store = ["--set", "screening.table="]
    kept.append(Child("console", ("-m", "engine", "console", *shared)))
    if config.dissuasion.enabled:
        kept.append(Child("agent", ("-m", "engine", "agent", *shared, *_metrics_at(config, 1))))
    kept.append(Child("engine", ("-m", "engine", "engine", *shared, *from_store)))
    if config.edge.listen is not None:
        kept.append(Child("edge", ("-m", "engine", "edge", *shared, *_metrics_at(config, 2))))
    return kept


def _metrics_at(config: Config, place: int) -> tuple[str, ...]:
    """The option that gives a child a metrics port of its own, `place` after the engine's."""
    listen = config.metrics.listen
    if not listen.port:
        return ()
    return ("--set", f"metrics.listen={Address(listen.host, listen.port + place)}")


async def _up(config: Config, config_file: Path | None, overrides: list[str]) -> int:
    stop = stop_event()
    try:
        load_keys(config.data.folder)  # made before the broker asks for its own
    except ConfigError as error:
        fail(str(error))
    supervisor = Supervisor(
        children(config, config_file, overrides),
        say,
        stop_limit_s=STOP_LIMIT_S + config.sip.drain_s,
        hurry=stop.hurry,
    )
    try:
        await supervisor.start()
    except ChildFailed as error:
        fail(str(error))
    say("ringward is up; Ctrl-C stops it")
    await stop.wait()
    await supervisor.stop()
    return 0


def _serve(name: str, config_file: Path | None, overrides: list[str] | None, supervised: bool) -> None:
    raise typer.Exit(serve(name, Options(config_file, tuple(overrides or ()), supervised)))
