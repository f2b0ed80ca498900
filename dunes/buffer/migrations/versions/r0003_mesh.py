"""The state of Bluetooth meshes: keys, nodes, numbers, addresses."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _key(name: str, kind: Any = None) -> sa.Column[Any]:
    return sa.Column(name, kind or sa.Integer(), autoincrement=False, nullable=False)


def _int(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _big(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _bytes(name: str, length: int | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary(length), nullable=False)


def _text(name: str, length: int = 64) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length), nullable=False)


def _of_network(table: str, *columns: sa.Column[Any]) -> None:
    """Create a table whose rows belong to a mesh; all key columns come first."""
    key = ["network_id", *(column.name for column in columns if column.autoincrement is False)]
    op.create_table(
        table,
        sa.Column("network_id", sa.Integer(), nullable=False),
        *columns,
        sa.ForeignKeyConstraint(
            ["network_id"], ["mesh_network.id"], name=f"fk_{table}_network_id"
        ),
        sa.PrimaryKeyConstraint(*key, name=f"pk_{table}"),
    )


def upgrade() -> None:
    """Create all of them, empty."""
    op.create_table(
        "mesh_network",
        sa.Column("id", sa.Integer(), nullable=False),
        _text("name"),
        _bytes("uuid", 16),
        _int("unicast"),
        _int("low"),
        _int("high"),
        _big("iv_index"),
        _int("iv_updating"),
        sa.Column("iv_age_s", sa.Float(), nullable=False),
        sa.Column("iv_recovered_age_s", sa.Float(), nullable=True),
        _big("iv_written_us"),
        _big("generation"),
        _big("keys_generation"),
        _bytes("writer", 16),
        sa.Column("moved_us", sa.BigInteger(), nullable=True),
        _big("created_us"),
        sa.PrimaryKeyConstraint("id", name="pk_mesh_network"),
        sa.UniqueConstraint("name", name="uq_mesh_network_name"),
    )
    _of_network("mesh_wrap", _key("kid", sa.String(32)), _bytes("wrapped"), _big("created_us"))
    _of_network(
        "mesh_key",
        _key("kind"),
        _key("key_index"),
        _int("net_index"),
        _int("phase"),
        _bytes("sealed"),
        sa.Column("sealed_new", sa.LargeBinary(), nullable=True),
    )
    _of_network(
        "mesh_node",
        _key("unicast"),
        _int("elements"),
        _bytes("uuid", 16),
        _bytes("sealed_device_key"),
        _text("name"),
        _int("net_index"),
        _int("progress"),
        _int("step"),
        _bytes("composition"),
        sa.Column("settings", sa.Text(), nullable=False),
        _big("added_us"),
        sa.Column("seen_us", sa.BigInteger(), nullable=True),
    )
    _of_network("mesh_seq", _key("src"), _big("iv_index"), _int("seq_limit"))
    _of_network("mesh_replay", _key("src"), _big("iv_index"), _int("seq"))
    op.create_table(
        "mesh_gone",
        sa.Column("id", sa.Integer(), nullable=False),
        _int("network_id"),
        _int("unicast"),
        _int("elements"),
        _big("iv_index"),
        sa.ForeignKeyConstraint(
            ["network_id"], ["mesh_network.id"], name="fk_mesh_gone_network_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_mesh_gone"),
    )
    _of_network("mesh_group", _key("address"), _text("name"), _int("parent"))
    _of_network("mesh_label", _key("uuid", sa.LargeBinary(16)), _int("address"), _text("name"))
