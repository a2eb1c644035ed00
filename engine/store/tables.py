"""The tables. Every table and key begins with the tenant.

Clear numbers live in `number` and `risk_number` only, whose rows can be erased; everything else names a
number by its keyed id. The migrations in `engine/store/migrations` are the truth for databases that exist;
a test holds the two together.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    text,
)

from engine.store.types import PlainText, UtcDateTime

NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

metadata: Final = MetaData(naming_convention=NAMING)


# No lengths: a value longer than expected must not stop the shipper.
def _id(name: str, nullable: bool = False) -> Column[Any]:
    return Column(name, PlainText, nullable=nullable)


def _text(name: str) -> Column[Any]:
    return Column(name, PlainText, nullable=False)


def _count(name: str) -> Column[Any]:
    return Column(name, Integer, nullable=False)


def _flag(name: str) -> Column[Any]:
    return Column(name, Boolean, nullable=False)


def _time(name: str, nullable: bool = False) -> Column[Any]:
    return Column(name, UtcDateTime, nullable=nullable)


_OPEN: Final = text("ended_at IS NULL")

number: Final = Table(
    "number",
    metadata,
    _id("tenant_id"),
    _id("number_id"),
    Column("number", PlainText, nullable=False),
    PrimaryKeyConstraint("tenant_id", "number_id"),
    Index(None, "tenant_id", "number"),
)
"""Clear numbers, the way back from a number_id to digits. Deleting a row forgets the number."""

journal_event: Final = Table(
    "journal_event",
    metadata,
    _id("tenant_id"),
    _id("node"),
    Column("boot", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    _time("at"),
    _text("kind"),
    _id("call_id", nullable=True),
    Column("detail", JSON, nullable=False),
    PrimaryKeyConstraint("tenant_id", "node", "boot", "seq"),
    Index(None, "tenant_id", "call_id", "at"),
    Index(None, "tenant_id", "kind", "at"),
)
"""Every shipped event once: its key makes shipping idempotent, its rows are the timeline of a call."""

shipper_cursor: Final = Table(
    "shipper_cursor",
    metadata,
    _id("tenant_id"),
    _id("node"),
    _id("journal_id"),
    Column("row", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "node", "journal_id"),
)
"""How far a journal file has been shipped. The tenant is the one that operates the node; a journal made
anew has a new id and starts from its first row."""

call: Final = Table(
    "call",
    metadata,
    _id("tenant_id"),
    _id("call_id"),
    _id("node"),
    Column("boot", BigInteger, nullable=False),
    _text("direction"),
    _text("trunk"),
    _id("calling_id", nullable=True),
    _id("called_id", nullable=True),
    _text("sip_call_id"),
    _time("started_at"),
    _text("action"),
    _text("rule"),
    _text("reason"),
    _text("level"),
    _text("label"),
    _text("policy_version"),
    Column("table_version", BigInteger, nullable=False),
    _text("shadow_action"),
    _text("appeal_code"),
    _text("stage"),
    _time("stage_at", nullable=True),
    _flag("answered"),
    _time("ended_at", nullable=True),
    _text("blame"),
    _text("outcome"),
    _count("status"),
    Column("duration_ms", BigInteger, nullable=False),
    _id("case_id", nullable=True),
    _id("recording_id", nullable=True),
    PrimaryKeyConstraint("tenant_id", "call_id"),
    Index(None, "tenant_id", "started_at", "call_id"),
    Index(None, "tenant_id", "calling_id"),
    Index(None, "tenant_id", "called_id"),
    Index(None, "tenant_id", "case_id"),
    Index("ix_call_open", "node", sqlite_where=_OPEN, postgresql_where=_OPEN),
)

popup: Final = Table(
    "popup",
    metadata,
    _id("tenant_id"),
    _id("popup_id"),
    _id("call_id"),
    _time("at"),
    _text("popup"),
    _id("called_id"),
    _id("calling_id"),
    Column("text", JSON, nullable=False),
    _text("sip_result"),
    _text("bus_result"),
    PrimaryKeyConstraint("tenant_id", "popup_id"),
    Index(None, "tenant_id", "called_id", "at"),
    Index(None, "tenant_id", "at"),
)
"""`text` names the two numbers as {calling} and {called}; they are filled in on reading."""

recording: Final = Table(
    "recording",
    metadata,
    _id("tenant_id"),
    _id("recording_id"),
    _id("call_id"),
    _text("path"),
    _id("left_id", nullable=True),
    _id("right_id", nullable=True),
    _time("started_at"),
    _time("closed_at", nullable=True),
    Column("duration_ms", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    _text("digest"),
    _flag("interrupted"),
    _text("left_language"),
    _text("right_language"),
    PrimaryKeyConstraint("tenant_id", "recording_id"),
    Index(None, "tenant_id", "started_at"),
    Index(None, "tenant_id", "call_id"),
)

transcript: Final = Table(
    "transcript",
    metadata,
    _id("tenant_id"),
    _id("recording_id"),
    _id("model"),
    _id("version"),
    _text("left_language"),
    _text("right_language"),
    Column("duration_ms", BigInteger, nullable=False),
    _time("created_at"),
    PrimaryKeyConstraint("tenant_id", "recording_id", "model", "version"),
)
"""One result per recording, model and version: transcribing again with the same model replaces it."""

segment: Final = Table(
    "segment",
    metadata,
    _id("tenant_id"),
    _id("recording_id"),
    _id("model"),
    _id("version"),
    Column("position", Integer, nullable=False),
    Column("channel", Integer, nullable=False),
    Column("start_ms", BigInteger, nullable=False),
    Column("end_ms", BigInteger, nullable=False),
    _text("language"),
    _text("text"),
    Column("words", JSON, nullable=False),
    _text("tokens"),
    PrimaryKeyConstraint("tenant_id", "recording_id", "model", "version", "position"),
    ForeignKeyConstraint(
        ("tenant_id", "recording_id", "model", "version"),
        ("transcript.tenant_id", "transcript.recording_id", "transcript.model", "transcript.version"),
        ondelete="CASCADE",
    ),
)
"""`channel` 0 is left, 1 right; `tokens` is what a full-text index reads, see engine.store.tokens."""

transcription_job: Final = Table(
    "transcription_job",
    metadata,
    _id("tenant_id"),
    _id("recording_id"),
    _text("state"),
    _time("created_at"),
    _time("due_at"),
    _time("lease_until", nullable=True),
    _id("leased_by", nullable=True),
    _count("attempts"),
    _text("error"),
    PrimaryKeyConstraint("tenant_id", "recording_id"),
    Index(None, "state", "due_at"),
)
"""States: new, leased, done, failed."""

risk_table: Final = Table(
    "risk_table",
    metadata,
    _id("tenant_id"),
    Column("version", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id"),
)
"""One row per tenant, raised by every change: writers of one tenant wait for each other here."""

risk_number: Final = Table(
    "risk_number",
    metadata,
    Column("row_id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    _id("tenant_id"),
    Column("pattern", PlainText, nullable=False),
    _id("number_id"),
    _text("level"),
    Column("action", PlainText),
    _text("reason"),
    _text("source"),
    _text("evidence"),
    _time("expires", nullable=True),
    _id("confirmed_by", nullable=True),
    _time("created_at"),
    _time("updated_at"),
    UniqueConstraint("tenant_id", "pattern", "source"),
    Index(None, "tenant_id", "number_id"),
    sqlite_autoincrement=True,
)
"""`pattern` is a number, or a prefix with a final *. `row_id` is the row number in the hot table, which all
tenants share: unique over all of them, never used again."""

risk_change: Final = Table(
    "risk_change",
    metadata,
    _id("tenant_id"),
    Column("version", BigInteger, nullable=False),
    _id("number_id"),
    Column("row_id", BigInteger, nullable=False),
    _time("at"),
    _id("by"),
    _text("what"),
    Column("before", JSON(none_as_null=True)),
    Column("after", JSON(none_as_null=True)),
    PrimaryKeyConstraint("tenant_id", "version", "row_id"),
    Index(None, "tenant_id", "number_id", "at"),
)
"""Audit: survives the erasure of a number, so it names numbers by id only. `what`: add, change, remove."""

case: Final = Table(
    "case",
    metadata,
    _id("tenant_id"),
    _id("case_id"),
    _id("victim_id"),
    _text("state"),
    _time("opened_at"),
    _time("last_call_at"),
    _time("closed_at", nullable=True),
    PrimaryKeyConstraint("tenant_id", "case_id"),
    Index(None, "tenant_id", "victim_id", "last_call_at"),
)
"""One victim's episode. States: open, closed."""

lead: Final = Table(
    "lead",
    metadata,
    _id("tenant_id"),
    _id("case_id"),
    _id("victim_id"),
    _id("call_id"),
    _text("state"),
    _time("created_at"),
    _time("due_at"),
    _time("called_at", nullable=True),
    _count("attempts"),
    _text("last_outcome"),
    _text("command_id"),
    _time("lease_until", nullable=True),
    PrimaryKeyConstraint("tenant_id", "case_id"),
    Index(None, "state", "due_at"),
)
"""Who is to be called back, once per case, after the call `call_id`. States: new, queued, calling, done.

`command_id` is the command a call was asked for with, while nobody knows what became of it. A lead in
`calling` whose lease is over was left there by a process that died.
"""

dissuasion: Final = Table(
    "dissuasion",
    metadata,
    _id("tenant_id"),
    _id("call_id"),
    _id("case_id"),
    _id("called_id"),
    _time("at"),
    _text("outcome"),
    _id("script"),
    PrimaryKeyConstraint("tenant_id", "call_id"),
    Index(None, "tenant_id", "case_id"),
    Index(None, "tenant_id", "at"),
)
