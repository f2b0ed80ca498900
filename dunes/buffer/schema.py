"""The tables of a buffer, as SQLAlchemy Core metadata; one schema for both ends.

A *stream* is what one gateway writes into one buffer table in one epoch. A gateway's
database holds its own streams; a ground station's holds those of many gateways.
`dunes.buffer.migrations` brings a database here; a test compares the two.

Other rooms that keep tables in the same database (the ground station's enrolment list)
define them on this `metadata`, in a module of their own, and add a revision.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

REVISION = "0005"
"""The newest revision; compared before Alembic is imported. A test holds it to the chain."""

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

stream = Table(
    "stream",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("gateway", String(64), nullable=False),
    Column("table_name", String(64), nullable=False),
    Column("epoch", LargeBinary(16), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    UniqueConstraint("gateway", "table_name", "epoch"),
)

frame = Table(
    "frame",
    metadata,
    Column("stream_id", ForeignKey("stream.id"), primary_key=True),
    Column("lane", Integer, primary_key=True, autoincrement=False),
    Column("no", BigInteger, primary_key=True, autoincrement=False),
    Column("n", Integer, nullable=False),
    Column("first_msg", BigInteger, nullable=False),
    Column("ts_min", BigInteger, nullable=False),
    Column("ts_max", BigInteger, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    Column("header", LargeBinary(120), nullable=False),
    Column("body", LargeBinary, nullable=False),
    # "since 10m" is answered from here instead of walking over every body
    Index("ix_frame_time", "stream_id", "lane", "ts_max", "no"),
)

lane = Table(
    "lane",
    metadata,
    Column("stream_id", ForeignKey("stream.id"), primary_key=True),
    Column("lane", Integer, primary_key=True, autoincrement=False),
    # the newest end; changed in the transaction that adds the frame
    Column("next_no", BigInteger, nullable=False),
    Column("next_msg", BigInteger, nullable=False),
    Column("head_hash", LargeBinary(32), nullable=False),
    # the oldest end: frames up to base_no are gone, the chain verifies from base_hash
    Column("base_no", BigInteger, nullable=False),
    Column("base_msg", BigInteger, nullable=False),
    Column("base_hash", LargeBinary(32), nullable=False),
    # what is stored now
    Column("frames", BigInteger, nullable=False),
    Column("msgs", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    # what was lost, since ever: dropped had a number, refused never got one
    Column("dropped_frames", BigInteger, nullable=False),
    Column("dropped_msgs", BigInteger, nullable=False),
    Column("refused_msgs", BigInteger, nullable=False),
    # gateway: acknowledged by every destination; ground: contiguous and vouched for
    Column("cum_no", BigInteger, nullable=False),
    Column("cum_msg", BigInteger, nullable=False),
    Column("cum_hash", LargeBinary(32), nullable=False),
)

head_sig = Table(
    "head_sig",
    metadata,
    Column("stream_id", ForeignKey("stream.id"), primary_key=True),
    Column("lane", Integer, primary_key=True, autoincrement=False),
    Column("no", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary(32), nullable=False),
    Column("ts_us", BigInteger, nullable=False),
    Column("record", LargeBinary, nullable=False),
)

tombstone = Table(
    "tombstone",
    metadata,
    Column("stream_id", ForeignKey("stream.id"), primary_key=True),
    Column("lane", Integer, primary_key=True, autoincrement=False),
    Column("from_no", BigInteger, primary_key=True, autoincrement=False),
    Column("to_no", BigInteger, nullable=False),
    Column("n_msgs", BigInteger, nullable=False),
    Column("ts_us", BigInteger, nullable=False),
    Column("record", LargeBinary(128), nullable=False),
)

key_record = Table(
    "key_record",
    metadata,
    Column("stream_id", ForeignKey("stream.id"), primary_key=True),
    Column("key_id", LargeBinary(8), primary_key=True),
    Column("created_us", BigInteger, nullable=False),
    Column("record", LargeBinary, nullable=False),
)

receipt = Table(
    "receipt",
    metadata,
    # the latest: on a gateway from each destination, on the ground what it issued itself
    Column("stream_id", ForeignKey("stream.id"), primary_key=True),
    Column("destination", String(255), primary_key=True),
    Column("receipt_no", BigInteger, nullable=False),
    Column("ts_us", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

ack = Table(
    "ack",
    metadata,
    Column("stream_id", ForeignKey("stream.id"), primary_key=True),
    Column("destination", String(255), primary_key=True),
    Column("lane", Integer, primary_key=True, autoincrement=False),
    Column("cum_no", BigInteger, nullable=False),
    Column("cum_hash", LargeBinary(32), nullable=False),
)

source_cursor = Table(
    "source_cursor",
    metadata,
    # how far `ingest --follow` has read; changed in the transaction that adds the readings
    Column("source", String(1024), primary_key=True),
    Column("table_name", String(64), primary_key=True),
    Column("device", BigInteger, nullable=False),
    Column("inode", BigInteger, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("line", BigInteger, nullable=False),
    Column("mark", LargeBinary(32), nullable=False),
    Column("mark_len", Integer, nullable=False),
    Column("updated_us", BigInteger, nullable=False),
)
