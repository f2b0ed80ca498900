"""A mesh's whole state as one file, `dunes.mesh-state/1`: for a replacement gateway. Pure.

A Configuration Database has no SEQ, no IV index and no replay list, so whoever imports it
becomes another gateway in the same mesh. This format is for the *same* gateway on another
machine: nothing has to be learned again. It holds every key in clear: mode 0600.

The layout is described in docs/formats-mesh.md. `sha256` is over the canonical JSON of all
other members, so that a cut or edited file is noticed; it proves no origin.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from dunes.clock import US_PER_S, rfc3339
from dunes.errors import DataError
from dunes.gateway.devicelinks import LINKS_MAX, DeviceLink, count_elements
from dunes.gateway.groups import Group, Label
from dunes.gateway.members import Members
from dunes.gateway.recovery import SEQ_MARGIN, another_address, left_by
from dunes.mesh.address import ADDRESS_MAX, SEQ_END, UNICAST_MAX
from dunes.mesh.ivindex import UNKNOWN, IvRecord
from dunes.mesh.keys import KEY_INDEX_MAX, AppKeyRecord, NetKeyRecord, Phase
from dunes.mesh.managerstate import KnownNode, ManagerState, NodeGone, Progress
from dunes.mesh.models.habitat import SEQUENCE_MODULUS
from dunes.mesh.replay import ReplayEntry
from dunes.mesh.sequence import SeqRecord
from dunes.mesh.state import KeysRecord, StackState
from dunes.model import check_name
from dunes.text import printable

FORMAT = "dunes.mesh-state/1"
KEY_BYTES = 16
ELEMENTS_MAX = 255
IV_END = 1 << 32
STEPS_MAX = 1 << 31
FRESH_S = 86_400.0
"""So long a file by which a mesh was given away is taken for the newest there is."""
ONCE = {
    "net_keys": "index",
    "app_keys": "index",
    "replay": "src",
    "groups": "address",
    "labels": "uuid",
    "links": "element",
}
PROVISIONER = "provisioner"
"""Among a node's settings: it is another provisioner, with these ranges."""
HINT = "export the state anew: dunes mesh-export --format state"
CODE = "bad-mesh-state"


@dataclass(frozen=True, slots=True)
class About:
    """What is known of a node beside its record.

    Attributes:
        settings: what was configured, in the words of a Configuration Database.
        added_us: when it was granted its address.
        seen_us: when it was last heard; None if never.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    added_us: int = 0
    seen_us: int | None = None

    @property
    def is_provisioner(self) -> bool:
        """Whether the node is another provisioner: it is not ours to set up."""
        return PROVISIONER in self.settings


@dataclass(frozen=True, slots=True)
class WholeMesh:
    """All there is of a mesh.

    Attributes:
        mesh_id: its name.
        uuid: its UUID.
        state: what a gateway goes on from.
        groups: with their names.
        labels: virtual addresses with their names.
        about: of nodes, by primary address; of other provisioners too.
        others: other provisioners of the mesh: nodes that are not ours to set up.
        gateway: who wrote it: the name or key id of that gateway.
        moved: that gateway gave the mesh away when it wrote this.
        written_us: when.
        links: elements of ours that are or were some device's.
    """

    mesh_id: str
    uuid: bytes
    state: ManagerState = field(repr=False)
    groups: tuple[Group, ...] = ()
    labels: tuple[Label, ...] = ()
    about: dict[int, About] = field(default_factory=dict)
    others: tuple[KnownNode, ...] = field(default=(), repr=False)
    gateway: str = ""
    moved: bool = False
    written_us: int = 0
    links: tuple[DeviceLink, ...] = ()

    def for_import(self, now_us: int, rng: Random) -> ManagerState:
        """Give the state that a gateway begins with.

        A gateway that gave the mesh away has sent nothing since, so its address is kept, with
        some numbers skipped. Of any other export nobody knows what was sent after it, also
        under later IV indexes: the new gateway sends from an address that was never used. So
        it does with a file that was moved more than `FRESH_S` ago, as that may be a backup by
        now. Ages of the IV index grow by the time that passed.

        Args:
            now_us: µs since 1970.
            rng: for the address; a `SystemRandom` outside of tests.
        """
        state, stack = self.state, self.state.stack
        passed_s = max(0, now_us - self.written_us) / US_PER_S
        recovered = stack.iv.recovered_age_s
        iv = replace(
            stack.iv,
            age_s=stack.iv.age_s + passed_s,
            recovered_age_s=None if recovered is None else recovered + passed_s,
        )
        seq = replace(stack.seq, limit=min(stack.seq.limit + SEQ_MARGIN, SEQ_END))
        fresh = self.moved and passed_s < FRESH_S
        unicast = None if fresh else another_address(state, rng)
        if unicast is not None:
            gone = (*state.gone, left_by(state))
            state, seq = replace(state, unicast=unicast, gone=gone), SeqRecord()
        return replace(state, stack=replace(stack, iv=iv, seq=seq))


def encode_whole(whole: WholeMesh) -> bytes:
    """Write the file."""
    state, stack = whole.state, whole.state.stack
    nodes = (*whole.others, *state.nodes)
    members: dict[str, Any] = {
        "format": FORMAT,
        "written_at": rfc3339(whole.written_us),
        "gateway": whole.gateway,
        "moved": whole.moved,
        "mesh_id": whole.mesh_id,
        "mesh_uuid": whole.uuid.hex(),
        "unicast": state.unicast,
        "low": state.low,
        "high": state.high,
        "iv": {
            "index": stack.iv.index,
            "updating": stack.iv.updating,
            "age_s": stack.iv.age_s,
            "recovered_age_s": stack.iv.recovered_age_s,
        },
        "seq": {"iv_index": stack.seq.iv_index, "limit": stack.seq.limit},
        "net_keys": [
            _keys(net) | {"index": net.index, "phase": int(net.phase)} for net in stack.keys.nets
        ],
        "app_keys": [
            _keys(app) | {"index": app.index, "net_index": app.net_index}
            for app in stack.keys.apps
        ],
        "nodes": [_node(node, whole.about.get(node.unicast, About())) for node in nodes],
        "gone": [
            {"unicast": each.unicast, "elements": each.elements, "iv_index": each.iv_index}
            for each in state.gone
        ],
        "replay": [
            {"src": each.src, "iv_index": each.iv_index, "seq": each.seq} for each in stack.replay
        ],
        "groups": [
            {"address": each.address, "name": each.name, "parent": each.parent}
            for each in whole.groups
        ],
        "labels": [
            {"uuid": each.uuid.hex(), "address": each.address, "name": each.name}
            for each in whole.labels
        ],
    }
    if whole.links:  # without it, older programs read the file too
        members["links"] = [
            {
                "element": each.element,
                "device": each.device,
                "since_at": rfc3339(each.since_us),
                "sequence": each.sequence,
            }
            for each in whole.links
        ]
    members["sha256"] = _digest(members)
    return json.dumps(members, indent=1, ensure_ascii=False).encode() + b"\n"


def _keys(record: NetKeyRecord | AppKeyRecord) -> dict[str, Any]:
    new = record.new_key
    return {"key": record.key.hex(), "new_key": None if new is None else new.hex()}


def _node(node: KnownNode, about: About) -> dict[str, Any]:
    return {
        "uuid": node.uuid.hex(),
        "unicast": node.unicast,
        "elements": node.elements,
        "name": node.name,
        "net_index": node.net_index,
        "device_key": node.device_key.hex(),
        "progress": int(node.progress),
        "step": node.step,
        "composition": node.composition.hex(),
        "settings": about.settings,
        "added_at": rfc3339(about.added_us),
        "seen_at": None if about.seen_us is None else rfc3339(about.seen_us),
    }


def _digest(members: dict[str, Any]) -> str:
    body = {name: value for name, value in members.items() if name != "sha256"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


# ---------------------------------------------------------------- reading


def is_whole(content: object) -> bool:
    """Tell whether parsed JSON says that it is such a file, of whichever version."""
    return isinstance(content, dict) and str(content.get("format", "")).startswith(
        FORMAT.partition("/")[0] + "/"
    )


def read_whole(content: dict[str, Any]) -> WholeMesh:
    """Read a file's parsed JSON.

    Raises:
        DataError: another version, cut, edited, or not what this format says.
    """
    top = Members(content, HINT, CODE)
    if content.get("format") != FORMAT:
        raise DataError(
            f"a state export of format {printable(str(content.get('format')), 40)}; this program "
            f"reads {FORMAT}",
            hint="pip install --upgrade dunes-mcp",
            code=CODE,
        )
    if content.get("sha256") != _digest(content):
        raise DataError(
            "the state export was cut or edited since it was written: its sha256 is another",
            hint=HINT,
            code=CODE,
        )
    iv, seq = top.part("iv"), top.part("seq")
    stack = StackState(
        SeqRecord(seq.number("iv_index", 0, IV_END - 1), seq.number("limit", 0, SEQ_END)),
        IvRecord(
            iv.number("index", UNKNOWN, IV_END - 1),
            iv.flag("updating"),
            iv.age_s("age_s"),
            iv.maybe("recovered_age_s", iv.age_s),
        ),
        KeysRecord(
            tuple(_read_net(each) for each in top.parts("net_keys")),
            tuple(_read_app(each) for each in top.parts("app_keys")),
        ),
        tuple(
            ReplayEntry(
                _unicast(each, "src"),
                each.number("iv_index", 0, IV_END - 1),
                each.number("seq", 0, SEQ_END - 1),
            )
            for each in top.parts("replay")
        ),
    )
    nodes = tuple(_read_node(each) for each in top.parts("nodes"))
    about = {
        node.unicast: _read_about(each)
        for node, each in zip(nodes, top.parts("nodes"), strict=True)
    }
    others = tuple(node for node in nodes if about[node.unicast].is_provisioner)
    links = tuple(
        DeviceLink(
            each.number("element", 1, LINKS_MAX),
            each.text("device"),
            each.moment_us("since_at"),
            each.number("sequence", 0, SEQUENCE_MODULUS - 1),
        )
        for each in (top.parts("links") if "links" in content else ())
    )
    state = ManagerState(
        _unicast(top, "unicast"),
        stack,
        tuple(node for node in nodes if not about[node.unicast].is_provisioner),
        tuple(
            NodeGone(
                _unicast(each, "unicast"),
                each.number("elements", 1, ELEMENTS_MAX),
                each.number("iv_index", UNKNOWN, IV_END - 1),
            )
            for each in top.parts("gone")
        ),
        _unicast(top, "low"),
        _unicast(top, "high"),
        count_elements(links),
    )
    _check_addresses(range(state.unicast, state.unicast + state.elements), nodes)
    whole = WholeMesh(
        check_name(top.text("mesh_id"), "mesh"),
        top.octets("mesh_uuid", KEY_BYTES),
        state,
        tuple(
            Group(
                each.number("address", 0, ADDRESS_MAX),
                each.text("name"),
                each.number("parent", 0, ADDRESS_MAX),
            )
            for each in top.parts("groups")
        ),
        tuple(
            Label(
                each.octets("uuid", KEY_BYTES),
                each.number("address", 0, ADDRESS_MAX),
                each.text("name"),
            )
            for each in top.parts("labels")
        ),
        about,
        others,
        top.text("gateway"),
        top.flag("moved"),
        top.moment_us("written_at"),
        links,
    )
    for name, key in ONCE.items():
        found = [each.content[key] for each in (top.parts(name) if name in content else ())]
        if len(set(found)) != len(found):
            raise DataError(f"{name} has one of them twice", hint=HINT, code=CODE)
    return whole


def _unicast(given: Members, name: str) -> int:
    return given.number(name, 1, UNICAST_MAX)


def _read_net(given: Members) -> NetKeyRecord:
    return NetKeyRecord(
        given.number("index", 0, KEY_INDEX_MAX),
        given.octets("key", KEY_BYTES),
        given.maybe("new_key", lambda name: given.octets(name, KEY_BYTES)),
        Phase(given.number("phase", Phase.NORMAL, Phase.REVOKING)),
    )


def _read_app(given: Members) -> AppKeyRecord:
    return AppKeyRecord(
        given.number("index", 0, KEY_INDEX_MAX),
        given.number("net_index", 0, KEY_INDEX_MAX),
        given.octets("key", KEY_BYTES),
        given.maybe("new_key", lambda name: given.octets(name, KEY_BYTES)),
    )


def _read_node(given: Members) -> KnownNode:
    return KnownNode(
        given.octets("uuid", KEY_BYTES),
        _unicast(given, "unicast"),
        given.number("elements", 1, ELEMENTS_MAX),
        given.octets("device_key", KEY_BYTES),
        Progress(given.number("progress", Progress.GRANTED, Progress.CONFIGURED)),
        given.number("step", 0, STEPS_MAX),
        given.octets("composition", None),
        given.text("name"),
        given.number("net_index", 0, KEY_INDEX_MAX),
    )


def _read_about(given: Members) -> About:
    return About(
        given.part("settings").content,
        given.moment_us("added_at"),
        given.maybe("seen_at", given.moment_us),
    )


def _check_addresses(own: Iterable[int], nodes: Iterable[KnownNode]) -> None:
    """Refuse two owners of one address: whoever edited the digest too is told."""
    taken = set(own)
    for node in nodes:
        for address in range(node.unicast, node.unicast + node.elements):
            if address in taken or address > UNICAST_MAX:
                raise DataError(
                    f"address {address:#06x} of the state export has two owners, or is none",
                    hint=HINT,
                    code=CODE,
                )
            taken.add(address)
