"""`ringward table`: load, look up, add, remove and export risk numbers."""

from __future__ import annotations

import asyncio
import getpass
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from sqlalchemy.exc import SQLAlchemyError

from engine.app.config import ConfigError
from engine.app.keys import load_keys
from engine.app.numbering import numbering_of
from engine.app.risk_table import RiskTable
from engine.cli.options import ConfigFile, Overrides, fail, read_config, reported
from engine.console.services import RiskRefused
from engine.model.config import Config
from engine.model.ids import TenantId
from engine.store.entries import NewRisk, RiskEntry
from engine.store.store import Store
from scoring.numbers import Action, HotEntry, Level, Numbering, Source
from scoring.numbers.risk_csv import canonical, parse_expiry, write_csv
from scoring.numbers.table_view import TableView

app = typer.Typer(
    no_args_is_help=True,
    help="Load, look up, add, remove and export risk numbers.\n\n"
    "Changes go to the store, are audited there, and reach every running engine within a second.",
)

LINES_LEFT_OUT = 1

By = Annotated[str | None, typer.Option(help="Who answers for it, for the audit; default: the login name.")]

_COLOURS = {Level.RED: "red", Level.YELLOW: "yellow", Level.GREEN: "green"}


@dataclass(frozen=True, slots=True)
class Tools:
    """An open risk table and what is needed around it."""

    config: Config
    numbering: Numbering
    store: Store
    table: RiskTable

    @property
    def tenant(self) -> TenantId:
        return TenantId(self.config.tenant)


@app.command()
def load(
    csv: Annotated[
        Path, typer.Argument(help="number,level,action,reason,expires", exists=True, dir_okay=False)
    ],
    by: By = None,
    config_file: ConfigFile = None,
    overrides: Overrides = None,
) -> None:
    """Make the imported numbers exactly those of a CSV file; numbers from other sources stay.

    Loading a file confirms its rows: blocks in it may stand without an expiry. Lines that cannot be used are
    left out and printed with file and line; the exit code is then 1.

    Example:

      ringward table load numbers.csv --config lab/loopback.toml
    """

    async def work(tools: Tools) -> int:
        with Console(stderr=True).status(f"loading {csv}"):
            configured = tools.config.screening.table
            same = configured is not None and configured.resolve() == csv.resolve()
            loaded = await tools.table.load(csv, _name(by), configured=same)
        for problem in loaded.problems:
            Console(stderr=True, highlight=False).print(Text(str(problem), "yellow"), soft_wrap=True)
        done = loaded.replaced
        typer.echo(
            f"{done.added} added, {done.changed} changed, {done.removed} removed, {done.unchanged} kept, "
            f"left out: {len(loaded.problems)}; table version {loaded.version}"
        )
        return LINES_LEFT_OUT if loaded.problems else 0

    _run(config_file, overrides, work)


@app.command()
def lookup(
    number: Annotated[str, typer.Argument(help="In any spelling, or a prefix such as +8617*.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config_file: ConfigFile = None,
    overrides: Overrides = None,
) -> None:
    """Show what counts for a number now, and every row that says something of it.

    Exits 1 when the table says nothing.

    Example:

      ringward table lookup 17000000001 --config lab/loopback.toml
    """

    async def work(tools: Tools) -> int:
        text = canonical(number, tools.numbering)
        now = datetime.now(UTC)
        found = None
        if not text.endswith("*"):
            view = TableView.open(tools.config.hot_table)
            found = view.lookup(tools.tenant, tools.numbering.normalise(number), now)
            view.close()
        why = await tools.store.risk.why(tools.tenant, text)
        if as_json:
            rows = [_plain(entry) for entry in why.entries]
            answer = {"number": text, "counts": found.row if found is not None else None, "rows": rows}
            typer.echo(json.dumps(answer, ensure_ascii=False, indent=2))
        else:
            _show(text, found, why.entries, now)
        return 0 if found is not None or why.entries else 1

    _run(config_file, overrides, work)


@app.command()
def add(
    number: Annotated[str, typer.Argument(help="In any spelling, or a prefix such as +8617*.")],
    level: Annotated[Level, typer.Option(help="How risky it is; green allows it.")],
    action: Annotated[
        Action | None, typer.Option(help="reject, label, warn or allow; default: what the policy says.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Slug of the reason.")] = "reported_fraud",
    expires: Annotated[str, typer.Option(help="A date, or an ISO date and time; default: never.")] = "",
    by: By = None,
    config_file: ConfigFile = None,
    overrides: Overrides = None,
) -> None:
    """Add a number, or change what was said of it on the command line or the console before.

    Example:

      ringward table add +8617000000009 --level red --reason reported_fraud --expires 2026-12-31
    """
    if action not in (None, Action.ALLOW, Action.LABEL, Action.WARN, Action.REJECT):
        fail(f"the action {action} is not available yet; use reject, label, warn or allow", code=2)
    if level is Level.GREEN and action not in (None, Action.ALLOW):
        fail(f"a green number cannot be given the action {action}", code=2)

    async def work(tools: Tools) -> int:
        new = NewRisk(
            number=canonical(number, tools.numbering),
            level=level,
            action=action,
            reason=reason,
            source=Source.PERSON,
            expires=parse_expiry(expires),
            confirmed_by=_name(by),
        )
        entry = await tools.table.put(new, _name(by))
        typer.echo(f"{entry.row.number} is {level}, row {entry.row.row}")
        return 0

    _run(config_file, overrides, work)


@app.command()
def remove(
    number: Annotated[str, typer.Argument(help="In any spelling, or a prefix such as +8617*.")],
    reason: Annotated[str, typer.Option(help="Why it is removed.")],
    source: Annotated[Source | None, typer.Option(help="Only what this source said; default: all.")] = None,
    by: By = None,
    config_file: ConfigFile = None,
    overrides: Overrides = None,
) -> None:
    """Remove the rows of exactly this number or prefix. Exits 1 when there is none.

    An imported number comes back when its file is loaded again, as at the start of the system.

    Example:

      ringward table remove +8617000000009 --reason "belongs to a bank"
    """

    async def work(tools: Tools) -> int:
        text = canonical(number, tools.numbering)
        gone = await tools.table.remove_all(text, _name(by), reason, source)
        typer.echo(f"{len(gone)} rows of {text} removed")
        return 0 if gone else 1

    _run(config_file, overrides, work)


@app.command()
def export(
    file: Annotated[Path | None, typer.Argument(help="CSV file to write; default: standard output.")] = None,
    source: Annotated[
        Source | None, typer.Option(help="Only this source's rows; default: all, a number may stand twice.")
    ] = None,
    config_file: ConfigFile = None,
    overrides: Overrides = None,
) -> None:
    """Write the table as CSV, in the form that `load` reads.

    Example:

      ringward table export backup.csv --source import
    """

    async def work(tools: Tools) -> int:
        async with tools.store.risk.snapshot(tools.tenant) as (_, rows):
            kept = [row async for row in rows if source in (None, row.source)]
        text = write_csv(kept)
        if file is None:
            typer.echo(text, nl=False)
        else:
            file.write_text(text, encoding="utf-8")
            typer.echo(f"{len(kept)} rows written to {file}")
        return 0

    _run(config_file, overrides, work)


def _run(
    config_file: Path | None, overrides: list[str] | None, work: Callable[[Tools], Coroutine[Any, Any, int]]
) -> None:
    """Do the work on the configured table; its result is the exit code."""

    async def opened() -> int:
        async with _tools(read_config(config_file, overrides)) as tools:
            return await work(tools)

    with reported(RiskRefused, ConfigError, SQLAlchemyError, ValueError, OSError):
        code = asyncio.run(opened())
    if code:
        raise typer.Exit(code)


@asynccontextmanager
async def _tools(config: Config) -> AsyncIterator[Tools]:
    store = await Store.open(config.store_url, file_number=load_keys(config.data.folder).file_number)
    try:
        numbering = numbering_of(config)
        tenant = TenantId(config.tenant)
        table = RiskTable(store.risk, tenant, config.hot_table, numbering, lambda: datetime.now(UTC))
        yield Tools(config, numbering, store, table)
    finally:
        await store.close()


def _name(by: str | None) -> str:
    return by or getpass.getuser()


def _show(number: str, found: HotEntry | None, entries: tuple[RiskEntry, ...], now: datetime) -> None:
    console = Console()
    if found is None:
        console.print(Text(f"{number}: nothing counts against it or for it now"))
    else:
        standing = found.precedence.name.lower().replace("_", " ")
        line = Text(f"{number}: ").append(found.level.value, _COLOURS[found.level])
        line.append(f", action {found.action or 'by policy'}, {found.reason}, {standing}, row {found.row}")
        console.print(line, soft_wrap=True)
    if not entries:
        return
    grid = Table(header_style="bold")
    for column in ("Row", "Number", "Level", "Action", "Reason", "Until (UTC)", "Source", "Confirmed by"):
        grid.add_column(column, overflow="fold", no_wrap=column == "Number")
    for entry in entries:
        row = entry.row
        until = "" if row.expires is None else f"{row.expires:%Y-%m-%d %H:%M}"
        grid.add_row(
            str(row.row),
            row.number,
            Text(row.level.value, _COLOURS[row.level]),
            row.action or "by policy",
            row.reason,
            Text(until, "dim" if row.expires is not None and row.expires <= now else ""),
            row.source.value,
            entry.confirmed_by or "",
        )
    console.print(grid)


def _plain(entry: RiskEntry) -> dict[str, object]:
    row = entry.row
    return {
        "row": row.row,
        "number": row.number,
        "level": row.level.value,
        "action": row.action,
        "reason": row.reason,
        "expires": row.expires.isoformat() if row.expires is not None else None,
        "source": row.source.value,
        "confirmed_by": entry.confirmed_by,
    }
