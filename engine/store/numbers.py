"""Putting clear numbers beside number_ids in queries, where they are still known."""

from __future__ import annotations

from typing import Any

from sqlalchemy import FromClause, Row, Select, Table, select
from sqlalchemy.sql.elements import ColumnElement

from engine.model.ids import NumberId, TenantId
from engine.store import tables as t
from engine.store.entries import FiledNumber


def with_numbers(table: Table, tenant: TenantId | None, *columns: str) -> Select[Any]:
    """Select a table's rows of one tenant (None: of all), each named number_id with its number beside it."""
    joined: FromClause = table
    numbers: list[ColumnElement[Any]] = []
    for column in columns:
        alias = t.number.alias(f"number_of_{column}")
        joined = joined.outerjoin(
            alias, (alias.c.tenant_id == table.c.tenant_id) & (alias.c.number_id == table.c[column])
        )
        numbers.append(alias.c.number.label(_label(column)))
    statement = select(table, *numbers).select_from(joined)
    return statement if tenant is None else statement.where(table.c.tenant_id == tenant)


def present(row: Row[Any], column: str) -> FiledNumber:
    """The number in one column, never empty, of a row selected by `with_numbers`."""
    return FiledNumber(NumberId(row._mapping[column]), row._mapping[_label(column)])


def filed(row: Row[Any], column: str) -> FiledNumber | None:
    """The same for a column that may be empty."""
    return None if row._mapping[column] is None else present(row, column)


def number_contains(column: ColumnElement[Any], tenant: TenantId, text: str) -> ColumnElement[bool]:
    """Whether the column's number is still known and contains the text."""
    n = t.number.c
    return column.in_(
        select(n.number_id).where(n.tenant_id == tenant, n.number.contains(text, autoescape=True))
    )


def _label(column: str) -> str:
    return f"number_of_{column}"
