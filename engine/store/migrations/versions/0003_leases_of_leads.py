"""A claimed lead is claimed for a time, under the id of the command that asks for its call.

Revision: 0003
Follows: 0002
"""

import sqlalchemy as sa
from alembic import op

from engine.store.types import UtcDateTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    with op.batch_alter_table("lead") as lead:
        lead.add_column(sa.Column("command_id", sa.Text(), nullable=False, server_default=""))
        lead.add_column(sa.Column("lease_until", UtcDateTime(), nullable=True))
    with op.batch_alter_table("lead") as lead:
        lead.alter_column("command_id", server_default=None)
    op.execute("UPDATE lead SET lease_until = called_at WHERE state = 'calling'")


def downgrade() -> None:
    with op.batch_alter_table("lead") as lead:
        lead.drop_column("lease_until")
        lead.drop_column("command_id")
