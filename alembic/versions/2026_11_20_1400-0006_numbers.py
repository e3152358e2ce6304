"""Statistics: cached and reasoning tokens in the call log, its sums per hour, and its indexes."""

import sqlalchemy as sa
from alembic import op

from officeai_proxy.storage.calls import hours as call_hours

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BY_USER = "ix_exchanges_workspace_user_identifier_started_at_id"
BY_SESSION = "ix_exchanges_workspace_session_id_started_at_id"

CELL = ("workspace", "dimension", "hour", "name")


def upgrade() -> None:
    dollars = "US dollars, at the prices of the moment"
    if op.get_bind().dialect.name != "sqlite":
        op.alter_column("exchanges", "cost", comment=dollars)
    for name in ("cached_tokens", "reasoning_tokens"):
        op.add_column("exchanges", sa.Column(name, sa.BigInteger()))
    columns = ["started_at", "id"]
    op.create_index(BY_USER, "exchanges", ["workspace", "user_identifier", *columns])
    op.create_index(BY_SESSION, "exchanges", ["workspace", "session_id", *columns])
    create_call_hours()
    create_call_hour_times()
    call_hours.add(op.get_bind(), sa.true())
    for statement in call_hours.triggers(op.get_bind().dialect):
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    for statement in call_hours.no_triggers(op.get_bind().dialect):
        op.get_bind().exec_driver_sql(statement)
    op.drop_table("call_hour_times")
    op.drop_table("call_hours")
    op.drop_index(BY_SESSION, "exchanges")
    op.drop_index(BY_USER, "exchanges")
    for name in ("reasoning_tokens", "cached_tokens"):
        op.drop_column("exchanges", name)
    if op.get_bind().dialect.name != "sqlite":
        op.alter_column("exchanges", "cost", comment=None)


def create_call_hours() -> None:
    op.create_table(
        "call_hours",
        *cell(
            "all, model or key",
            "hours since 1970, UTC",
            "of the model or key; empty when not known",
        ),
        number("calls"),
        number("errors"),
        number("prompt_tokens"),
        number("completion_tokens"),
        number("total_tokens"),
        number("priced_calls"),
        number("cost_nano", comment="billionths of a US dollar"),
        sa.PrimaryKeyConstraint(*CELL, name="pk_call_hours"),
    )


def create_call_hour_times() -> None:
    op.create_table(
        "call_hour_times",
        *cell(),
        sa.Column(
            "measure",
            sa.SmallInteger(),
            autoincrement=False,
            nullable=False,
            comment="0 latency, 1 ttft",
        ),
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        number("calls"),
        sa.PrimaryKeyConstraint(*CELL, "measure", "bucket", name="pk_call_hour_times"),
    )


def cell(dimension: str | None = None, hour: str | None = None, name: str | None = None) -> list:
    return [
        sa.Column("workspace", sa.String(255), nullable=False),
        sa.Column("dimension", sa.String(8), nullable=False, comment=dimension),
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False, comment=hour),
        sa.Column("name", sa.Text(), nullable=False, comment=name),
    ]


def number(name: str, *, comment: str | None = None) -> sa.Column:
    return sa.Column(name, sa.BigInteger(), nullable=False, comment=comment)
