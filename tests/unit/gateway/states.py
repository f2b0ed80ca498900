"""States of meshes: one by hand, and hypothesis strategies for any."""

from hypothesis import strategies as st

from dunes.crypto.identity import Identity
from dunes.crypto.signing import SigningKey
from dunes.crypto.xwing import RecipientKey
from dunes.mesh.ivindex import IvRecord
from dunes.mesh.keys import AppKeyRecord, NetKeyRecord, Phase
from dunes.mesh.managerstate import KnownNode, ManagerState, NodeGone, Progress
from dunes.mesh.replay import ReplayEntry
from dunes.mesh.sequence import SeqRecord
from dunes.mesh.state import KeysRecord, StackState

MESH_ID = "lunar-ble-001"


def identity(digit: int = 7) -> Identity:
    """Make the same identity each time."""
    signing = SigningKey.from_seed(bytes([digit]) * 32)
    return Identity("gw", signing, RecipientKey.from_xwing_seed(signing.kid, bytes([digit]) * 32))


def state(**changes) -> ManagerState:
    """Give a small mesh: two nodes of three and one element, one that left."""
    nodes = (
        KnownNode(b"u" * 16, 2, 3, b"d" * 16, Progress.CONFIGURED, 9, b"\x01\x02", "hab-1"),
        KnownNode(b"v" * 16, 5, 1, b"e" * 16),
    )
    keys = KeysRecord((NetKeyRecord(0, b"n" * 16),), (AppKeyRecord(0, 0, b"a" * 16),))
    stack = StackState(
        SeqRecord(6, 3000), IvRecord(6), keys, (ReplayEntry(2, 6, 9), ReplayEntry(5, 5, 0))
    )
    parts = {"stack": stack, "nodes": nodes, "gone": (NodeGone(6, 2, 5),), "high": 0x7FF}
    return ManagerState(1, **(parts | changes))


KEY = st.binary(min_size=16, max_size=16)
IV = st.integers(0, 0xFFFFFFFF)
UNICAST = st.integers(1, 0x7FFF)
SEQ = st.integers(0, 0xFFFFFF)
AGE_S = st.floats(0, 1e9, allow_nan=False)
NETS = st.builds(
    NetKeyRecord, st.integers(0, 0xFFF), KEY, st.none() | KEY, st.sampled_from(list(Phase)[:3])
)
APPS = st.builds(AppKeyRecord, st.integers(0, 0xFFF), st.integers(0, 0xFFF), KEY, st.none() | KEY)
KEYS = st.builds(
    lambda nets, apps: KeysRecord(
        tuple(sorted(nets, key=lambda each: each.index)),
        tuple(sorted(apps, key=lambda each: each.index)),
    ),
    st.lists(NETS, max_size=4, unique_by=lambda each: each.index),
    st.lists(APPS, max_size=4, unique_by=lambda each: each.index),
)
IVS = st.builds(IvRecord, IV, st.booleans(), AGE_S, st.none() | AGE_S)
SEQS = st.builds(SeqRecord, IV, st.integers(0, 1 << 24))
ENTRIES = st.builds(ReplayEntry, UNICAST, IV, SEQ)
NODES = st.builds(
    KnownNode,
    KEY,
    UNICAST,
    st.integers(1, 255),
    KEY,
    st.sampled_from(list(Progress)),
    st.integers(0, 1000),
    st.binary(max_size=380),
    st.from_regex(r"[a-z0-9._-]{0,64}", fullmatch=True),
    st.integers(0, 0xFFF),
)
GONE = st.builds(NodeGone, st.integers(1, 0x7F00), st.integers(1, 255), IV)


def apart(nodes: list[KnownNode], unicast: int) -> tuple[KnownNode, ...]:
    """Keep of some nodes those that share no address, with each other or with us."""
    found, end = [], 0
    for node in sorted(nodes, key=lambda each: each.unicast):
        last = node.unicast + node.elements - 1
        if node.unicast > end and last <= 0x7FFF and not node.has(unicast):
            found.append(node)
            end = last
    return tuple(found)


STATES = st.builds(
    lambda unicast, seq, iv, keys, replay, nodes, gone: ManagerState(
        unicast,
        StackState(seq, iv, keys, tuple(sorted(replay, key=lambda each: each.src))),
        apart(nodes, unicast),
        tuple(gone),
    ),
    UNICAST,
    SEQS,
    IVS,
    KEYS,
    st.lists(ENTRIES, max_size=8, unique_by=lambda each: each.src),
    st.lists(NODES, max_size=6),
    st.lists(GONE, max_size=4),
)


def normal(given: ManagerState) -> ManagerState:
    """Give a state with its replay list in order of sources, as a database has it."""
    stack = given.stack
    replay = tuple(sorted(stack.replay, key=lambda each: each.src))
    return ManagerState(
        given.unicast,
        StackState(stack.seq, stack.iv, stack.keys, replay),
        given.nodes,
        given.gone,
        given.low,
        given.high,
    )
