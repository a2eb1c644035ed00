"""`ringward explain`: what would happen to a call, and why."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.panel import Panel
from rich.table import Table as Grid
from rich.text import Text

from engine.app.numbering import numbering_of
from engine.app.paths import dialplans_folder
from engine.app.policies import catalogue_labels, read_policy
from engine.app.switches import SwitchError, read_switch
from engine.cli.options import ConfigFile, Overrides, read_config, reported
from engine.model.config import Config
from engine.model.screening import (
    UNAUTHORISED_ACTIONS,
    Action,
    Attestation,
    Direction,
    Facts,
    HotEntry,
    Number,
)
from engine.model.trunk_sections import TrunkSection
from engine.screening import Explanation, PolicyError, explain, with_entry
from engine.screening.decide import Table
from engine.screening.lines import nearest
from engine.warning.announcements import load as load_catalogue
from scoring.counters import NAMES
from scoring.numbers import Numbering
from scoring.numbers.hot_delta import Put
from scoring.numbers.risk_csv import load_csv
from scoring.numbers.table_view import Overlay, TableView

_COLOURS = {Action.ALLOW: "green", Action.LABEL: "yellow", Action.WARN: "yellow", Action.REJECT: "red"}


def explain_call(
    caller: Annotated[str, typer.Argument(help="Calling number, in any spelling.")],
    callee: Annotated[str, typer.Argument(help="Called number, in any spelling, or urn:service:sos….")],
    trunk: Annotated[
        str | None, typer.Option(help="The trunk it comes over; default: the first of its direction.")
    ] = None,
    direction: Annotated[
        Direction | None, typer.Option(help="To a subscriber (inbound) or from one; default: the trunk's.")
    ] = None,
    asserted: Annotated[str | None, typer.Option(help="P-Asserted-Identity, from a trusted trunk.")] = None,
    attestation: Annotated[Attestation, typer.Option(help="Verified attestation.")] = Attestation.NONE,
    at: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"], help="When, in UTC; default: now."),
    ] = None,
    counter: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=COUNT", help="A counter as it would stand, others being 0; repeatable."),
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="Another policy file than the configured one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config_file: ConfigFile = None,
    overrides: Overrides = None,
) -> None:
    """Show what would happen to a call, and why: facts, every rule tried, verdict, policy version.

    Nothing is dialled. Table, policy and kill switch are those the engine uses now; the subscriber's own
    lists, recent emergency calls and counters are known only to a running engine and count as empty.

    Examples:

      ringward explain +8617000000001 +8613800138000 --config lab/loopback.toml

      ringward explain 13800138000 17000000001 --direction outbound --json
    """
    config = read_config(config_file, overrides)
    numbering = numbering_of(config)
    with reported(PolicyError, SwitchError, ValueError, OSError):
        labels = catalogue_labels(load_catalogue(dialplans_folder() / "announcements.toml"))
        rules = read_policy(policy or config.screening.policy, numbering, labels)
        counters = _counters(counter or [])
        name, section, way = _trunk(config, trunk, direction)
        table, table_name = _table(config, numbering)
        kill_switch = read_switch(config.switches_file)
    moment = at.replace(tzinfo=UTC) if at is not None else datetime.now(UTC)
    calling, called = numbering.normalise(caller), numbering.normalise(callee)
    subscriber = called if way is Direction.INBOUND else calling
    facts = Facts(
        tenant=config.tenant,
        direction=way,
        calling=calling,
        called=called,
        at=moment,
        trunk=name,
        trunk_authorised_public=section.public_service,
        caller_authorised=section.may_carry(calling.display),
        unauthorised_action=UNAUTHORISED_ACTIONS[section.callers_else],
        attestation=attestation,
        asserted=numbering.normalise(asserted) if asserted and section.trusted_identity else None,
        request_uri=callee,
        kill_switch=kill_switch.active(moment),
        counters=counters,
        language=config.language_of(subscriber.display),
    )
    explained = explain(with_entry(facts, table), rules)
    if as_json:
        typer.echo(json.dumps(explained.as_dict(), ensure_ascii=False, indent=2))
    else:
        _show(explained, str(policy or config.screening.policy), table_name)


def _counters(given: list[str]) -> dict[str, int]:
    """Raises ValueError for what is no counter or no number."""
    counters: dict[str, int] = {}
    for text in given:
        name, _, count = text.partition("=")
        if name not in NAMES:
            known = nearest(name, list(NAMES), shown=["counters such as caller_attempts_60s"])
            raise ValueError(f"--counter: unknown counter {name!r}{known}")
        if not (count.isascii() and count.isdigit() and len(count) <= 9):
            raise ValueError(f"--counter {name}: {count!r} is not a whole number")
        counters[name] = int(count)
    return counters


def _trunk(
    config: Config, name: str | None, direction: Direction | None
) -> tuple[str, TrunkSection, Direction]:
    """The trunk and the direction of a call over it. Raises ValueError for what is not configured."""
    sides = {"carrier": Direction.INBOUND, "access": Direction.OUTBOUND}
    if name is not None:
        if name not in config.trunk:
            known = ", ".join(config.trunk) or "none"
            raise ValueError(f"there is no trunk {name!r}; configured: {known}")
        section = config.trunk[name]
        way = sides[section.side]
        if direction not in (None, way):
            raise ValueError(f"calls over trunk {name!r} are {way}")
        return name, section, way
    way = direction or Direction.INBOUND
    for known, section in config.trunk.items():
        if sides[section.side] is way:
            return known, section, way
    return "", TrunkSection(side="carrier" if way is Direction.INBOUND else "access"), way


class _FileTable:
    """The configured CSV, for when no engine has made a hot table of it yet."""

    version = 0

    def __init__(self, path: Path, numbering: Numbering, tenant: str) -> None:
        rows, problems = load_csv(path, numbering, tenant)
        if problems and not rows:
            raise ValueError("\n".join(map(str, problems)))
        self._overlay = Overlay(Put(0, row) for row in rows)

    def lookup(self, tenant: str, number: Number, at: datetime) -> HotEntry | None:
        return self._overlay.strongest(tenant, number, at)


def _table(config: Config, numbering: Numbering) -> tuple[Table, str]:
    """The table the engine uses, or the CSV it would start with; and how to call it."""
    path = config.hot_table
    csv = config.screening.table
    if path.exists() or csv is None:
        return TableView.open(path), str(path) if path.exists() else "no table"
    return _FileTable(csv, numbering, config.tenant), f"{csv} (no engine has loaded it yet)"


def _show(explained: Explanation, policy: str, table: str) -> None:
    console = Console()
    facts, verdict = explained.facts, explained.verdict
    said = Grid(show_header=False, box=None, padding=(0, 2, 0, 0))
    said.add_column(style="dim")
    said.add_column(overflow="fold")
    for name, value in _facts(facts):
        said.add_row(name, value)
    console.print(Panel(said, title="Facts", title_align="left"))
    tried = Grid(header_style="bold", expand=True)
    tried.add_column("Tried in this order", no_wrap=True)
    tried.add_column("")
    tried.add_column("Why", overflow="fold", ratio=1)
    for trace in explained.traces:
        mark = Text("matches", "bold green") if trace.matched else Text("no", "dim")
        style = "" if trace.matched else "dim"
        tried.add_row(Text(trace.rule, style), mark, Text(trace.why, style))
    console.print(tried)
    result = Grid(show_header=False, box=None, padding=(0, 2, 0, 0))
    result.add_column(style="dim")
    result.add_column(overflow="fold")
    colour = _COLOURS[verdict.action]
    result.add_row("action", Text(verdict.action.value, f"bold {colour}"))
    for name in ("rule", "reason", "status", "label", "popup", "announcement", "downgraded", "expires"):
        value = getattr(verdict, name)
        if value is not None:
            result.add_row(name, str(value))
    for name in ("record", "protected", "confirmed"):
        if getattr(verdict, name):
            result.add_row(name, "yes")
    console.print(Panel(result, title="Verdict", title_align="left", border_style=colour))
    console.print(
        Text(f"policy {explained.policy_name} {verdict.policy_version}  {policy}", "dim"), soft_wrap=True
    )
    console.print(Text(f"table version {verdict.table_version}  {table}", "dim"), soft_wrap=True)


def _facts(facts: Facts) -> list[tuple[str, str]]:
    """What is known of the call, only what says something."""
    lines = [("direction", facts.direction.value), ("trunk", facts.trunk or "none configured")]
    for name, number in (("calling", facts.calling), ("called", facts.called), ("asserted", facts.asserted)):
        if number is not None:
            protected = ", protected" if number.protected else ""
            spelt = f", written {number.raw!r}" if number.raw != number.display else ""
            lines.append((name, f"{number.display} ({number.kind.value}{protected}{spelt})"))
    if facts.trunk_authorised_public:
        lines.append(("public service trunk", "yes"))
    if not facts.caller_authorised:
        lines.append(("caller authorised", "no"))
    if facts.attestation is not Attestation.NONE:
        lines.append(("attestation", facts.attestation.value))
    entry = facts.entry
    if entry is None:
        lines.append(("table entry", "none"))
    else:
        action = entry.action.value if entry.action is not None else "none named"
        until = f"until {entry.expires:%Y-%m-%d %H:%M} UTC" if entry.expires is not None else "without end"
        standing = entry.precedence.name.lower()
        lines.append(
            (
                "table entry",
                f"{entry.level.value}, action {action}, {entry.reason}, {standing}, {until}, row {entry.row}",
            )
        )
    lines += [(name, str(count)) for name, count in facts.counters.items()]
    lines.append(("kill switch", "on" if facts.kill_switch else "off"))
    lines.append(("at", f"{facts.at:%Y-%m-%d %H:%M:%S} UTC"))
    return lines
