"""Who may write to a ground station."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the enrolment list; it stays empty on a gateway."""
    op.create_table(
        "gateway",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("kid", sa.String(32), nullable=False),
        sa.Column("spki", sa.LargeBinary(), nullable=False),
        sa.Column("api_key_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("standing", sa.String(16), nullable=False),
        sa.Column("enrolled_us", sa.BigInteger(), nullable=False),
        sa.Column("changed_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_gateway"),
    )
