"""`ringward config check|show`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import typer

from engine.app.agent import load_scripts
from engine.app.config import ConfigError
from engine.app.edge_users import load_users
from engine.app.numbering import numbering_of
from engine.app.paths import dialplans_folder
from engine.app.policies import catalogue_labels, read_policy
from engine.cli.options import ConfigFile, Overrides, fail, read_config
from engine.dissuasion.lint import lint
from engine.dissuasion.script import ScriptError
from engine.model.address import Address, PortRange
from engine.model.section import Section
from engine.screening import PolicyError
from engine.screening.policy import Text
from engine.warning.announcements import CatalogueError
from engine.warning.announcements import load as load_catalogue
from scoring.numbers.risk_csv import load_csv

SECRETS = frozenset({"password", "token", "users"})

app = typer.Typer(no_args_is_help=True, help="Check or show the configuration.")


@app.command()
def check(config_file: ConfigFile = None, overrides: Overrides = None) -> None:
    """Read all that the system would read: file, policies, announcements, dissuasion scripts, risk CSV.

    Policies and scripts are tried on their own examples; what victims hear is held against the wording rules.

    Exits 0 when all of it can be used, else says what is wrong, with file and line.
    """
    config = read_config(config_file, overrides)
    numbering = numbering_of(config)
    problems: list[str] = []
    labels: Mapping[str, Text] = {}
    try:
        catalogue = load_catalogue(dialplans_folder() / "announcements.toml")
        labels = catalogue_labels(catalogue)
        typer.echo(f"{len(catalogue.announcements)} announcements in {', '.join(catalogue.languages)}")
        problems += [
            f"{catalogue.prompt(slug, language)}: no such file; render it or put a recording there"
            for slug in catalogue.announcements
            for language in catalogue.languages
            if not catalogue.prompt(slug, language).is_file()
        ]
        scripts = load_scripts(catalogue)
        typer.echo(f"dissuasion scripts: {', '.join(script.name for script in scripts.values())}")
        problems += [str(finding) for finding in lint(catalogue, scripts)]
    except (CatalogueError, ScriptError) as error:
        problems.append(str(error))
    policies = {"policy": config.screening.policy, "shadow policy": config.screening.shadow_policy}
    for what, path in policies.items():
        try:
            if path is not None:
                policy = read_policy(path, numbering, labels)
                typer.echo(f"{what} {policy.name}, version {policy.version}, {len(policy.rules)} rules")
        except PolicyError as error:
            problems.append(str(error))
    if config.screening.table is not None:
        try:
            rows, bad = load_csv(config.screening.table, numbering, config.tenant)
            typer.echo(f"{len(rows)} risk numbers in {config.screening.table}")
            problems += [str(problem) for problem in bad]
        except OSError as error:
            problems.append(str(error))
    if config.edge.listen is not None:
        try:
            users = load_users(config.edge)
            users.accounts(numbering)
            typer.echo(f"{len(users.secrets)} users of the edge")
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        fail("\n".join(problems))
    typer.echo("configuration is usable")


@app.command()
def show(config_file: ConfigFile = None, overrides: Overrides = None) -> None:
    """Print every key with the value in force as JSON; of a password or token only that it is set."""
    config = read_config(config_file, overrides)
    typer.echo(msgspec.json.format(msgspec.json.encode(_plain(config)), indent=2).decode())


def _plain(value: object) -> object:
    """Sections as objects; addresses, ranges and paths as they are written in the file."""
    if isinstance(value, Section):
        fields = {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
        for secret in SECRETS & fields.keys():
            if fields[secret]:
                fields[secret] = "(set)"  # that there is one
        return fields
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, Address | PortRange | Path):
        return str(value)
    return value
