"""Keys: limits, rotation with overlap, and what each host's keys used for the others."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NUMBERS = {
    "rpm": "requests in a minute; null: no limit, as below",
    "tpm": "tokens in a minute",
    "concurrency": "calls at one time",
}


def upgrade() -> None:
    for name, comment in NUMBERS.items():
        op.add_column("api_keys", sa.Column(name, sa.BigInteger(), comment=comment))
    op.add_column(
        "api_keys",
        sa.Column(
            "replaces", sa.String(64), comment="the first key of a rotation; limits count there"
        ),
    )
    op.create_table(
        "key_use",
        sa.Column("host", sa.String(64), nullable=False, comment="a data directory"),
        sa.Column(
            "account", sa.String(64), nullable=False, comment="the key that limits are counted on"
        ),
        sa.Column(
            "told_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="by the clock of the database",
        ),
        sa.Column("running", sa.BigInteger(), nullable=False, comment="calls at this moment"),
        sa.Column(
            "requests", sa.Text(), nullable=False, comment="JSON list: per second, the newest first"
        ),
        sa.Column(
            "tokens", sa.Text(), nullable=False, comment="JSON list: per second, the newest first"
        ),
        sa.PrimaryKeyConstraint("host", "account", name=op.f("pk_key_use")),
    )


def downgrade() -> None:
    op.drop_table("key_use")
    for name in ("replaces", *NUMBERS):
        op.drop_column("api_keys", name)
