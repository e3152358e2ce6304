"""The audit log by user, by what was done and by who did it, each in the order of its list."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

OF_USER = "ix_audit_log_workspace_user_identifier_id"


def upgrade() -> None:
    op.drop_index(OF_USER, "audit_log")
    for asked in ("user_identifier", "action", "actor"):
        columns = ["workspace", asked, "at", "id"]
        op.create_index(f"ix_audit_log_{'_'.join(columns)}", "audit_log", columns)


def downgrade() -> None:
    for asked in ("actor", "action", "user_identifier"):
        op.drop_index(f"ix_audit_log_workspace_{asked}_at_id", "audit_log")
    op.create_index(OF_USER, "audit_log", ["workspace", "user_identifier", "id"])
