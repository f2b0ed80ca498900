"""Streams of frames, with their lanes, heads, tombstones, keys, receipts and cursors."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _key(name: str, kind: Any = None) -> sa.Column[Any]:
    return sa.Column(name, kind or sa.Integer(), autoincrement=False, nullable=False)


def _int(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _small(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _bytes(name: str, length: int | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary(length), nullable=False)


def _of_stream(table: str, *columns: sa.Column[Any]) -> None:
    """Create a table whose rows belong to a stream; all key columns come first."""
    key = ["stream_id", *(column.name for column in columns if column.autoincrement is False)]
    op.create_table(
        table,
        sa.Column("stream_id", sa.Integer(), nullable=False),
        *columns,
        sa.ForeignKeyConstraint(["stream_id"], ["stream.id"], name=f"fk_{table}_stream_id"),
        sa.PrimaryKeyConstraint(*key, name=f"pk_{table}"),
    )


def upgrade() -> None:
    """Create everything."""
    op.create_table(
        "stream",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("gateway", sa.String(64), nullable=False),
        sa.Column("table_name", sa.String(64), nullable=False),
        _bytes("epoch", 16),
        _int("created_us"),
        sa.PrimaryKeyConstraint("id", name="pk_stream"),
        sa.UniqueConstraint(
            "gateway", "table_name", "epoch", name="uq_stream_gateway_table_name_epoch"
        ),
    )
    _of_stream(
        "frame",
        _key("lane"),
        _key("no", sa.BigInteger()),
        _small("n"),
        _int("first_msg"),
        _int("ts_min"),
        _int("ts_max"),
        _bytes("hash", 32),
        _bytes("header", 120),
        _bytes("body"),
    )
    op.create_index("ix_frame_time", "frame", ["stream_id", "lane", "ts_max", "no"])
    _of_stream(
        "lane",
        _key("lane"),
        _int("next_no"),
        _int("next_msg"),
        _bytes("head_hash", 32),
        _int("base_no"),
        _int("base_msg"),
        _bytes("base_hash", 32),
        _int("frames"),
        _int("msgs"),
        _int("size_bytes"),
        _int("dropped_frames"),
        _int("dropped_msgs"),
        _int("refused_msgs"),
        _int("cum_no"),
        _int("cum_msg"),
        _bytes("cum_hash", 32),
    )
    _of_stream(
        "head_sig",
        _key("lane"),
        _key("no", sa.BigInteger()),
        _bytes("hash", 32),
        _int("ts_us"),
        _bytes("record"),
    )
    _of_stream(
        "tombstone",
        _key("lane"),
        _key("from_no", sa.BigInteger()),
        _int("to_no"),
        _int("n_msgs"),
        _int("ts_us"),
        _bytes("record", 128),
    )
    _of_stream(
        "key_record", _key("key_id", sa.LargeBinary(8)), _int("created_us"), _bytes("record")
    )
    _of_stream(
        "receipt",
        _key("destination", sa.String(255)),
        _int("receipt_no"),
        _int("ts_us"),
        _bytes("body"),
    )
    _of_stream(
        "ack",
        _key("destination", sa.String(255)),
        _key("lane"),
        _int("cum_no"),
        _bytes("cum_hash", 32),
    )
    op.create_table(
        "source_cursor",
        sa.Column("source", sa.String(1024), nullable=False),
        sa.Column("table_name", sa.String(64), nullable=False),
        _int("device"),
        _int("inode"),
        _int("offset"),
        _int("line"),
        _bytes("mark", 32),
        _small("mark_len"),
        _int("updated_us"),
        sa.PrimaryKeyConstraint("source", "table_name", name="pk_source_cursor"),
    )
