"""The first tables.

Revision: 0001
"""

import sqlalchemy as sa
from alembic import op

from engine.store.types import UtcDateTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "call",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("trunk", sa.Text(), nullable=False),
        sa.Column("calling_id", sa.Text(), nullable=True),
        sa.Column("called_id", sa.Text(), nullable=True),
        sa.Column("sip_call_id", sa.Text(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("policy_version", sa.Text(), nullable=False),
        sa.Column("table_version", sa.BigInteger(), nullable=False),
        sa.Column("shadow_action", sa.Text(), nullable=False),
        sa.Column("appeal_code", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("stage_at", UtcDateTime(), nullable=True),
        sa.Column("answered", sa.Boolean(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("blame", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=True),
        sa.Column("recording_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "call_id", name=op.f("pk_call")),
    )
    op.create_index(op.f("ix_call_tenant_id_called_id"), "call", ["tenant_id", "called_id"])
    op.create_index(op.f("ix_call_tenant_id_calling_id"), "call", ["tenant_id", "calling_id"])
    op.create_index(op.f("ix_call_tenant_id_case_id"), "call", ["tenant_id", "case_id"])
    op.create_index(
        op.f("ix_call_tenant_id_started_at_call_id"), "call", ["tenant_id", "started_at", "call_id"]
    )
    op.create_table(
        "case",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("victim_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
        sa.Column("last_call_at", UtcDateTime(), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "case_id", name=op.f("pk_case")),
    )
    op.create_index(
        op.f("ix_case_tenant_id_victim_id_last_call_at"), "case", ["tenant_id", "victim_id", "last_call_at"]
    )
    op.create_table(
        "dissuasion",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("called_id", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("script", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "call_id", name=op.f("pk_dissuasion")),
    )
    op.create_index(op.f("ix_dissuasion_tenant_id_at"), "dissuasion", ["tenant_id", "at"])
    op.create_index(op.f("ix_dissuasion_tenant_id_case_id"), "dissuasion", ["tenant_id", "case_id"])
    op.create_table(
        "journal_event",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("boot", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=True),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "node", "boot", "seq", name=op.f("pk_journal_event")),
    )
    op.create_index(
        op.f("ix_journal_event_tenant_id_call_id_at"), "journal_event", ["tenant_id", "call_id", "at"]
    )
    op.create_index(op.f("ix_journal_event_tenant_id_kind_at"), "journal_event", ["tenant_id", "kind", "at"])
    op.create_table(
        "lead",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("victim_id", sa.Text(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("called_at", UtcDateTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_outcome", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "case_id", name=op.f("pk_lead")),
    )
    op.create_index(op.f("ix_lead_state_due_at"), "lead", ["state", "due_at"])
    op.create_table(
        "number",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("number_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "number_id", name=op.f("pk_number")),
    )
    op.create_index(op.f("ix_number_tenant_id_number"), "number", ["tenant_id", "number"])
    op.create_table(
        "popup",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("popup_id", sa.Text(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("popup", sa.Text(), nullable=False),
        sa.Column("called_id", sa.Text(), nullable=False),
        sa.Column("calling_id", sa.Text(), nullable=False),
        sa.Column("text", sa.JSON(), nullable=False),
        sa.Column("sip_result", sa.Text(), nullable=False),
        sa.Column("bus_result", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "popup_id", name=op.f("pk_popup")),
    )
    op.create_index(op.f("ix_popup_tenant_id_at"), "popup", ["tenant_id", "at"])
    op.create_index(op.f("ix_popup_tenant_id_called_id_at"), "popup", ["tenant_id", "called_id", "at"])
    op.create_table(
        "recording",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("recording_id", sa.Text(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("left_id", sa.Text(), nullable=True),
        sa.Column("right_id", sa.Text(), nullable=True),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("interrupted", sa.Boolean(), nullable=False),
        sa.Column("left_language", sa.Text(), nullable=False),
        sa.Column("right_language", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "recording_id", name=op.f("pk_recording")),
    )
    op.create_index(op.f("ix_recording_tenant_id_call_id"), "recording", ["tenant_id", "call_id"])
    op.create_index(op.f("ix_recording_tenant_id_started_at"), "recording", ["tenant_id", "started_at"])
    op.create_table(
        "risk_change",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("number_id", sa.Text(), nullable=False),
        sa.Column("row_id", sa.BigInteger(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("before", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("after", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "version", "row_id", name=op.f("pk_risk_change")),
    )
    op.create_index(
        op.f("ix_risk_change_tenant_id_number_id_at"), "risk_change", ["tenant_id", "number_id", "at"]
    )
    op.create_table(
        "risk_number",
        sa.Column(
            "row_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("pattern", sa.Text(), nullable=False),
        sa.Column("number_id", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("expires", UtcDateTime(), nullable=True),
        sa.Column("confirmed_by", sa.Text(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("row_id", name=op.f("pk_risk_number")),
        sa.UniqueConstraint(
            "tenant_id", "pattern", "source", name=op.f("uq_risk_number_tenant_id_pattern_source")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_risk_number_tenant_id_number_id"), "risk_number", ["tenant_id", "number_id"])
    op.create_table(
        "risk_table",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_risk_table")),
    )
    op.create_table(
        "shipper_cursor",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("journal_id", sa.Text(), nullable=False),
        sa.Column("row", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "node", "journal_id", name=op.f("pk_shipper_cursor")),
    )
    op.create_table(
        "transcript",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("recording_id", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("left_language", sa.Text(), nullable=False),
        sa.Column("right_language", sa.Text(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "recording_id", "model", "version", name=op.f("pk_transcript")),
    )
    op.create_table(
        "transcription_job",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("recording_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("leased_by", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "recording_id", name=op.f("pk_transcription_job")),
    )
    op.create_index(op.f("ix_transcription_job_state_due_at"), "transcription_job", ["state", "due_at"])
    op.create_table(
        "segment",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("recording_id", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("channel", sa.Integer(), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("end_ms", sa.BigInteger(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("words", sa.JSON(), nullable=False),
        sa.Column("tokens", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "recording_id", "model", "version"],
            ["transcript.tenant_id", "transcript.recording_id", "transcript.model", "transcript.version"],
            name=op.f("fk_segment_tenant_id_recording_id_model_version_transcript"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "tenant_id", "recording_id", "model", "version", "position", name=op.f("pk_segment")
        ),
    )


def downgrade() -> None:
    for table in (
        "segment",
        "transcription_job",
        "transcript",
        "shipper_cursor",
        "risk_table",
        "risk_number",
        "risk_change",
        "recording",
        "popup",
        "number",
        "lead",
        "journal_event",
        "dissuasion",
        "case",
        "call",
    ):
        op.drop_table(table)
