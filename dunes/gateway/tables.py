"""The tables of a mesh, beside the buffer's in the same database and the same migrations.

One row of `mesh_network` per mesh; all others belong to it. What is secret (NetKeys, AppKeys,
device keys) is sealed as `dunes.gateway.sealing` says, the rest is in clear.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from dunes.buffer.schema import metadata


def _of_network() -> Column[int]:
    return Column("network_id", ForeignKey("mesh_network.id"), primary_key=True)


network = Table(
    "mesh_network",
    metadata,
    Column("id", Integer, primary_key=True),
    # as people name it: `--mesh-id lunar-ble-001`
    Column("name", String(64), nullable=False),
    Column("uuid", LargeBinary(16), nullable=False),
    # our own address, and those that we give out
    Column("unicast", Integer, nullable=False),
    Column("low", Integer, nullable=False),
    Column("high", Integer, nullable=False),
    # ages are those at iv_written_us
    Column("iv_index", BigInteger, nullable=False),
    Column("iv_updating", Integer, nullable=False),
    Column("iv_age_s", Float, nullable=False),
    Column("iv_recovered_age_s", Float, nullable=True),
    Column("iv_written_us", BigInteger, nullable=False),
    # rises with whatever the mark outside of the database knows, and with the keys
    Column("generation", BigInteger, nullable=False),
    Column("keys_generation", BigInteger, nullable=False),
    # whoever opened it last for writing; all others are fenced off
    Column("writer", LargeBinary(16), nullable=False),
    # when it was given to another gateway: nothing is sent from here any more
    Column("moved_us", BigInteger, nullable=True),
    Column("created_us", BigInteger, nullable=False),
    UniqueConstraint("name"),
)

wrap = Table(
    "mesh_wrap",
    metadata,
    # the secret of a mesh, wrapped to a key of this gateway
    _of_network(),
    Column("kid", String(32), primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created_us", BigInteger, nullable=False),
)

key = Table(
    "mesh_key",
    metadata,
    _of_network(),
    # 0 NetKey, 1 AppKey
    Column("kind", Integer, primary_key=True, autoincrement=False),
    Column("key_index", Integer, primary_key=True, autoincrement=False),
    # of an AppKey: the NetKey that it is bound to
    Column("net_index", Integer, nullable=False),
    # of a NetKey: how far its refresh is
    Column("phase", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("sealed_new", LargeBinary, nullable=True),
)

node = Table(
    "mesh_node",
    metadata,
    _of_network(),
    Column("unicast", Integer, primary_key=True, autoincrement=False),
    Column("elements", Integer, nullable=False),
    Column("uuid", LargeBinary(16), nullable=False),
    Column("sealed_device_key", LargeBinary, nullable=False),
    Column("name", String(64), nullable=False),
    Column("net_index", Integer, nullable=False),
    Column("progress", Integer, nullable=False),
    Column("step", Integer, nullable=False),
    Column("composition", LargeBinary, nullable=False),
    # JSON: what was configured, in the words of a Configuration Database; empty if unknown
    Column("settings", Text, nullable=False),
    Column("added_us", BigInteger, nullable=False),
    Column("seen_us", BigInteger, nullable=True),
)

seq = Table(
    "mesh_seq",
    metadata,
    # numbers below `seq_limit` may have been sent from this address with this index
    _of_network(),
    Column("src", Integer, primary_key=True, autoincrement=False),
    Column("iv_index", BigInteger, nullable=False),
    Column("seq_limit", Integer, nullable=False),
)

replay = Table(
    "mesh_replay",
    metadata,
    _of_network(),
    Column("src", Integer, primary_key=True, autoincrement=False),
    Column("iv_index", BigInteger, nullable=False),
    Column("seq", Integer, nullable=False),
)

gone = Table(
    "mesh_gone",
    metadata,
    # addresses that are not given out again soon
    Column("id", Integer, primary_key=True),
    Column("network_id", ForeignKey("mesh_network.id"), nullable=False),
    Column("unicast", Integer, nullable=False),
    Column("elements", Integer, nullable=False),
    Column("iv_index", BigInteger, nullable=False),
)

alert = Table(
    "mesh_alert",
    metadata,
    # the newest alerts that were kept: a node says them again until it hears so
    Column("id", Integer, primary_key=True),
    Column("network_id", ForeignKey("mesh_network.id"), nullable=False),
    Column("fingerprint", LargeBinary(16), nullable=False),
)

group = Table(
    "mesh_group",
    metadata,
    _of_network(),
    Column("address", Integer, primary_key=True, autoincrement=False),
    Column("name", String(64), nullable=False),
    Column("parent", Integer, nullable=False),
)

link = Table(
    "mesh_link",
    metadata,
    # elements of ours that devices speak by which are no nodes; they follow `unicast`
    _of_network(),
    Column("element", Integer, primary_key=True, autoincrement=False),
    # empty: the address stays ours, for the next device
    Column("device", String(64), nullable=False),
    Column("since_us", BigInteger, nullable=False),
    # of the element's next report, modulo 2^14
    Column("sequence", Integer, nullable=False, server_default="0"),
)

label = Table(
    "mesh_label",
    metadata,
    _of_network(),
    Column("uuid", LargeBinary(16), primary_key=True),
    Column("address", Integer, nullable=False),
    Column("name", String(64), nullable=False),
)
