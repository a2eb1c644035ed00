"""`ringward config check|show`."""

from __future__ import annotations

from pathlib import Path

import msgspec
import typer

from engine.app.engine import numbering_of
from engine.app.paths import dialplans_folder
from engine.cli.options import ConfigFile, Overrides, fail, read_config
from engine.model.config import Address, PortRange, Section
from engine.screening import PolicyError, load_policy
from engine.warning.announcements import CatalogueError
from engine.warning.announcements import load as load_catalogue
from scoring.numbers.risk_csv import load_csv

app = typer.Typer(no_args_is_help=True, help="Check or show the configuration.")


@app.command()
def check(config_file: ConfigFile = None, overrides: Overrides = None) -> None:
    """Read everything the engine would read: file, policy with its examples, announcements, risk CSV.

    Exits 0 when all of it can be used, else says what is wrong, with file and line.
    """
    config = read_config(config_file, overrides)
    numbering = numbering_of(config)
    problems: list[str] = []
    try:
        policy = load_policy(config.screening.policy, numbering)
        typer.echo(f"policy {policy.name}, version {policy.version}, {len(policy.rules)} rules")
    except PolicyError as error:
        problems.append(str(error))
    try:
        catalogue = load_catalogue(dialplans_folder() / "announcements.toml")
        typer.echo(f"{len(catalogue.announcements)} announcements in {', '.join(catalogue.languages)}")
        problems += [
            f"{catalogue.prompt(slug, language)}: no such file; render it or put a recording there"
            for slug in catalogue.announcements
            for language in catalogue.languages
            if not catalogue.prompt(slug, language).is_file()
        ]
    except CatalogueError as error:
        problems.append(str(error))
    if config.screening.table is not None:
        try:
            rows, bad = load_csv(config.screening.table, numbering, config.tenant)
            typer.echo(f"{len(rows)} risk numbers in {config.screening.table}")
            problems += [str(problem) for problem in bad]
        except OSError as error:
            problems.append(str(error))
    if problems:
        fail("\n".join(problems))
    typer.echo("configuration is usable")


@app.command()
def show(config_file: ConfigFile = None, overrides: Overrides = None) -> None:
    """Print every key with the value in force, defaults included, as JSON."""
    config = read_config(config_file, overrides)
    typer.echo(msgspec.json.format(msgspec.json.encode(_plain(config)), indent=2).decode())


def _plain(value: object) -> object:
    """Sections as objects; addresses, ranges and paths as they are written in the file."""
    if isinstance(value, Section):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, Address | PortRange | Path):
        return str(value)
    return value
