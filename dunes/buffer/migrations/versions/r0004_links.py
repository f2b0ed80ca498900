"""Devices that a gateway speaks for in its meshes."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, empty."""
    op.create_table(
        "mesh_link",
        sa.Column("network_id", sa.Integer(), nullable=False),
        sa.Column("element", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("device", sa.String(64), nullable=False),
        sa.Column("since_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["network_id"], ["mesh_network.id"], name="fk_mesh_link_network_id"
        ),
        sa.PrimaryKeyConstraint("network_id", "element", name="pk_mesh_link"),
    )
