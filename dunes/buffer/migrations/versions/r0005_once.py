"""What keeps a mesh from taking an alert twice, and from giving a report's number twice."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, empty; reports of linked devices are counted from 0."""
    op.create_table(
        "mesh_alert",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("network_id", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(16), nullable=False),
        sa.ForeignKeyConstraint(
            ["network_id"], ["mesh_network.id"], name="fk_mesh_alert_network_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_mesh_alert"),
    )
    op.add_column(
        "mesh_link", sa.Column("sequence", sa.Integer(), nullable=False, server_default="0")
    )
