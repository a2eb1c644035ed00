"""Calls know the boot of their node, so that those which died with it can be ended.

Revision: 0002
Follows: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

OPEN = sa.text("ended_at IS NULL")


def upgrade() -> None:
    with op.batch_alter_table("call") as call:
        call.add_column(sa.Column("boot", sa.BigInteger(), nullable=False, server_default="0"))
    with op.batch_alter_table("call") as call:
        call.alter_column("boot", server_default=None)
        call.create_index("ix_call_open", ["node"], sqlite_where=OPEN, postgresql_where=OPEN)


def downgrade() -> None:
    with op.batch_alter_table("call") as call:
        call.drop_index("ix_call_open")
        call.drop_column("boot")
