"""Write a mesh as a Configuration Database: the format that phone apps exchange. Pure.

It lets another provisioner control the mesh. It holds NetKeys, AppKeys and (unless they are
left out) device keys in clear, and neither SEQ nor IV index: whoever reads it takes an address
of its own and learns the IV index from a beacon, as `dunes.gateway.cdbread` does.

Source: Mesh Configuration Database Profile 1.0.1. Numbers that are addresses or identifiers
are hexadecimal texts in capitals; `count` counts transmissions, where configuration messages
count retransmissions; intervals are in milliseconds.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from dunes.clock import US_PER_S, rfc3339
from dunes.errors import PeerError
from dunes.gateway.cdbfields import write_publish
from dunes.gateway.devicelinks import DeviceLink
from dunes.gateway.mark import Ranges, merged, without
from dunes.gateway.names import choose_name
from dunes.gateway.naming import default_name
from dunes.gateway.wholestate import PROVISIONER, About, WholeMesh
from dunes.mesh.control import Feature
from dunes.mesh.keys import AppKeyRecord, NetKeyRecord
from dunes.mesh.managerstate import OWN_ELEMENTS, KnownNode, NodeGone, Progress
from dunes.mesh.models.composition import Composition
from dunes.mesh.models.habitat import habitat

JSON_SCHEMA = "http://json-schema.org/draft-04/schema#"
SCHEMA_ID = "https://www.bluetooth.com/specifications/specs/mesh-cdb-1-0-1-schema.json#"
VERSION = "1.0.1"
OUR_APP = 0
"""The application key that nodes are set up with here."""
NOT_SUPPORTED = 2
"""State of a feature that a node cannot do at all; 0 is off, 1 is on."""
FEATURES = {
    "relay": Feature.RELAY,
    "proxy": Feature.PROXY,
    "friend": Feature.FRIEND,
    "lowPower": Feature.LOW_POWER,
}
GROUPS: Ranges = ((0xC000, 0xFEFF),)
SCENES: Ranges = ((0x0001, 0xFFFF),)
KEPT = (
    "security",
    "defaultTTL",
    "features",
    "secureNetworkBeacon",
    "networkTransmit",
    "relayRetransmit",
    "netKeys",
    "appKeys",
    "heartbeatPub",
    "heartbeatSub",
)
"""Members of a node that are kept as they were configured or imported."""


@dataclass(frozen=True, slots=True)
class Provisioner:
    """Who we are in a Configuration Database.

    Attributes:
        name: for people.
        uuid: 16 bytes; that of our own node too.
        device_key: our own node's, 16 bytes; nobody needs it, the format does.
    """

    name: str
    uuid: bytes
    device_key: bytes = field(repr=False)


def head(mesh: uuid.UUID, name: str, timestamp: str, *, partial: bool) -> dict[str, Any]:
    """Give the first members of any Configuration Database."""
    return {
        "$schema": JSON_SCHEMA,
        "id": SCHEMA_ID,
        "version": VERSION,
        "meshUUID": str(mesh).upper(),
        "meshName": name,
        "timestamp": timestamp,
        "partial": partial,
    }


def address_text(address: int) -> str:
    """Write an address or another number of 16 bits."""
    return f"{address:04X}"


def uuid_text(value: bytes) -> str:
    """Write a UUID."""
    return str(uuid.UUID(bytes=value)).upper()


def provisioner_uuid(mesh: bytes, unicast: int) -> bytes:
    """Name a gateway by its address: the same after a key rotation, and on another machine."""
    return uuid.uuid5(uuid.UUID(bytes=mesh), f"dunes-gateway/{unicast:04X}").bytes


def range_texts(ranges: Iterable[tuple[int, int]], low: str, high: str) -> list[dict[str, str]]:
    """Write ranges; `low` and `high` name their ends."""
    return [{low: address_text(first), high: address_text(last)} for first, last in ranges]


def write_cdb(whole: WholeMesh, own: Provisioner, *, device_keys: bool = True) -> dict[str, Any]:
    """Give the database as JSON members.

    Args:
        whole: the mesh.
        own: this gateway.
        device_keys: without them the export is `partial`: its reader can command nodes and
            hear them, not configure them.
    """
    timestamp = rfc3339(whole.written_us // US_PER_S * US_PER_S)
    members = head(uuid.UUID(bytes=whole.uuid), whole.mesh_id, timestamp, partial=not device_keys)
    keys = whole.state.stack.keys
    others = [
        whole.about[node.unicast].settings[PROVISIONER] | {"UUID": uuid_text(node.uuid)}
        for node in whole.others
    ]
    nodes = [_own_node(whole, own, device_keys=device_keys)]
    nodes += [
        _node(node, whole.about.get(node.unicast, About()), device_keys=device_keys)
        for node in (*whole.others, *whole.state.nodes)
    ]
    return members | {
        "netKeys": [_net(net, timestamp) for net in keys.nets],
        "appKeys": [_app(app) for app in keys.apps],
        "provisioners": [_own_provisioner(whole, own, others), *others],
        "nodes": nodes,
        "groups": [
            *(
                {
                    "name": each.name,
                    "address": address_text(each.address),
                    "parentAddress": address_text(each.parent),
                }
                for each in whole.groups
            ),
            *(
                {
                    "name": each.name,
                    "address": each.uuid.hex().upper(),
                    "parentAddress": address_text(0),
                }
                for each in whole.labels
            ),
        ],
        "scenes": [],
        "networkExclusions": _exclusions(whole.state.gone),
    }


def _key(record: NetKeyRecord | AppKeyRecord) -> dict[str, str]:
    """During a refresh `key` is the new value, and `oldKey` the one before."""
    if record.new_key is None:
        return {"key": record.key.hex().upper()}
    return {"key": record.new_key.hex().upper(), "oldKey": record.key.hex().upper()}


def _net(net: NetKeyRecord, timestamp: str) -> dict[str, Any]:
    # devices are let in without out-of-band authentication unless somebody asked for it
    return {
        "name": "Primary network key" if net.index == 0 else f"Network key {net.index}",
        "index": net.index,
        "phase": int(net.phase),
        **_key(net),
        "minSecurity": "insecure",
        "timestamp": timestamp,
    }


def _app(app: AppKeyRecord) -> dict[str, Any]:
    name = f"Application key {app.index}"
    return {"name": name, "index": app.index, "boundNetKey": app.net_index, **_key(app)}


def _own_provisioner(
    whole: WholeMesh, own: Provisioner, others: list[dict[str, Any]]
) -> dict[str, Any]:
    state = whole.state
    last = state.unicast + state.elements - 1
    if state.unicast < state.low <= state.unicast + OWN_ELEMENTS:
        last = state.low - 1  # nobody else may give out what our elements will have
    mine = merged([(state.unicast, last), (state.low, state.high)])

    def left(all_: Ranges, name: str, low: str, high: str) -> Ranges:
        taken = [
            (int(each[low], 16), int(each[high], 16))
            for other in others
            for each in other.get(name, [])
        ]
        return without(all_, taken)

    groups = left(GROUPS, "allocatedGroupRange", "lowAddress", "highAddress")
    scenes = left(SCENES, "allocatedSceneRange", "firstScene", "lastScene")
    return {
        "provisionerName": own.name,
        "UUID": uuid_text(own.uuid),
        "allocatedUnicastRange": range_texts(mine, "lowAddress", "highAddress"),
        "allocatedGroupRange": range_texts(groups, "lowAddress", "highAddress"),
        "allocatedSceneRange": range_texts(scenes, "firstScene", "lastScene"),
    }


def _own_node(whole: WholeMesh, own: Provisioner, *, device_keys: bool) -> dict[str, Any]:
    keys = whole.state.stack.keys
    # Configuration Client: that is all that others may know of us
    models = [{"modelId": "0001", "bind": [], "subscribe": []}]
    return {
        "UUID": uuid_text(own.uuid),
        "name": own.name,
        "unicastAddress": address_text(whole.state.unicast),
        **({"deviceKey": own.device_key.hex().upper()} if device_keys else {}),
        "security": "secure",
        "configComplete": True,
        "excluded": False,
        "netKeys": [{"index": net.index, "updated": bool(net.phase)} for net in keys.nets],
        "appKeys": [{"index": app.index, "updated": app.new_key is not None} for app in keys.apps],
        "elements": [
            {"index": 0, "name": own.name, "location": "0000", "models": models},
            *(_own_element(index, whole.links) for index in range(1, whole.state.elements)),
        ],
    }


def _own_element(index: int, links: Iterable[DeviceLink]) -> dict[str, Any]:
    """Write an element by which a device speaks that is no node: it sends reports."""
    device = next((each.device for each in links if each.element == index), "")
    model = {"modelId": str(habitat().server), "bind": [OUR_APP], "subscribe": []}
    name = device or f"Element {index}"
    return {"index": index, "name": name, "location": "0000", "models": [model]}


def _node(node: KnownNode, about: About, *, device_keys: bool) -> dict[str, Any]:
    kept = {name: about.settings[name] for name in KEPT if name in about.settings}
    defaults: dict[str, Any] = {
        "security": "insecure",
        "netKeys": [{"index": node.net_index, "updated": False}],
        "appKeys": [],
    }
    page = composition_of(node)
    made: dict[str, Any] = {}
    if page is not None:
        numbers = {"cid": page.cid, "pid": page.pid, "vid": page.vid, "crpl": page.crpl}
        made = {name: address_text(number) for name, number in numbers.items()}
        cannot = [name for name, bit in FEATURES.items() if not page.features & bit]
        known = kept.pop("features", {})
        features = {name: known[name] for name in FEATURES if name in known}
        features |= dict.fromkeys(cannot, NOT_SUPPORTED)
        made["features"] = features
    return {
        "UUID": uuid_text(node.uuid),
        "name": _name(node, about),
        "unicastAddress": address_text(node.unicast),
        **({"deviceKey": node.device_key.hex().upper()} if device_keys else {}),
        "configComplete": node.progress is Progress.CONFIGURED,
        "excluded": False,
        **made,
        **(defaults | kept),
        "elements": _elements(node, page, about.settings.get("elements", [])),
    }


def _name(node: KnownNode, about: About) -> str:
    """Call a node as the database did that it came from, unless somebody renamed it since."""
    called = str(about.settings.get("name", ""))
    folded = choose_name(called, node.unicast, ())
    if called and node.name in {folded, default_name(node.unicast)}:
        return called
    return node.name or default_name(node.unicast)


def composition_of(node: KnownNode) -> Composition | None:
    """Read the composition that is kept of a node; None if there is none to read."""
    try:
        return Composition.decode(node.composition) if node.composition else None
    except PeerError:
        return None


def _elements(
    node: KnownNode, page: Composition | None, configured: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    known = {each["index"]: each for each in configured}
    elements = []
    for index in range(node.elements):
        given = known.get(index, {})
        models = {model["modelId"]: model for model in given.get("models", [])}
        location = given.get("location", "0000")
        if page is not None and index < len(page.elements):
            location = address_text(page.elements[index].location)
            for model in page.elements[index].models:
                models.setdefault(str(model), {"modelId": str(model)})
        empty: dict[str, Any] = {"bind": [], "subscribe": []}
        elements.append(
            {
                "index": index,
                "name": given.get("name", f"Element {index}"),
                "location": location,
                "models": [empty | _model(model) for model in models.values()],
            }
        )
    return elements


def _model(kept: dict[str, Any]) -> dict[str, Any]:
    if "publish" not in kept:
        return kept
    return kept | {"publish": write_publish(kept["publish"])}


def _exclusions(gone: Iterable[NodeGone]) -> list[dict[str, Any]]:
    addresses: dict[int, set[int]] = {}
    for each in gone:
        if each.iv_index >= 0:
            left = range(each.unicast, each.unicast + each.elements)
            addresses.setdefault(each.iv_index, set()).update(left)
    return [
        {"ivIndex": index, "addresses": [address_text(each) for each in sorted(found)]}
        for index, found in sorted(addresses.items())
    ]
