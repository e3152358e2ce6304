"""Who is signed in to the page."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "page_visits",
        sa.Column("digest", sa.LargeBinary(32), nullable=False, comment="SHA-256 of the token"),
        sa.Column("kind", sa.String(16), nullable=False, comment="session or invitation"),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column(
            "binding",
            sa.LargeBinary(32),
            comment="ties token and key; null where the id is enough",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("digest", name="pk_page_visits"),
    )
    op.create_index("ix_page_visits_expires_at", "page_visits", ["expires_at"])


def downgrade() -> None:
    op.drop_index("ix_page_visits_expires_at", "page_visits")
    op.drop_table("page_visits")
