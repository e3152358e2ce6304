"""The audit log, the end of its chain, and when regular work was begun."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_audit_log()
    create_audit_head()
    create_chores()


def downgrade() -> None:
    for table in ("chores", "audit_head", "audit_log"):
        op.drop_table(table)


def create_audit_log() -> None:
    op.create_table(
        "audit_log",
        sa.Column(
            "id", sa.BigInteger(), autoincrement=False, nullable=False, comment="without gaps"
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("workspace", sa.String(255), comment="null: the database as a whole"),
        sa.Column("actor", sa.String(64), nullable=False, comment="the id of a key, never a key"),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("user_identifier", sa.String(255), comment="whose data it was"),
        sa.Column("target_kind", sa.String(16), nullable=False),
        sa.Column("target", sa.String(255)),
        sa.Column("detail", sa.Text(), comment="JSON object of names and numbers"),
        sa.Column("client_ip", sa.String(64)),
        sa.Column("is_sealed", sa.Boolean(), nullable=False),
        sa.Column(
            "names_salt",
            sa.LargeBinary(16),
            comment="null: the names were struck out for good",
        ),
        sa.Column("names_digest", sa.LargeBinary(32), nullable=False),
        sa.Column("previous", sa.LargeBinary(32), nullable=False, comment="hash of the row before"),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
    )
    op.create_index("ix_audit_log_workspace_at_id", "audit_log", ["workspace", "at", "id"])
    op.create_index(
        "ix_audit_log_workspace_user_identifier_id",
        "audit_log",
        ["workspace", "user_identifier", "id"],
    )


def create_audit_head() -> None:
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "count",
            sa.BigInteger(),
            nullable=False,
            comment="id of the newest row ever written",
        ),
        sa.Column("hash", sa.LargeBinary(32), nullable=False, comment="its hash"),
        sa.PrimaryKeyConstraint("id", name="pk_audit_head"),
    )
    op.bulk_insert(head, [{"id": 1, "count": 0, "hash": bytes(32)}])


def create_chores() -> None:
    chores = op.create_table(
        "chores",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_chores"),
    )
    op.bulk_insert(chores, [{"name": "retention", "begun_at": datetime(1970, 1, 1, tzinfo=UTC)}])
