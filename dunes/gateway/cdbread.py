"""Read a Configuration Database that this program or another one exported. Pure.

Whoever reads it becomes one more provisioner of that mesh: with an address of its own from a
range that is nobody's, SEQ from 0, and an IV index that the first beacon tells. What it finds
of other provisioners is kept, so that a later export names them again.
"""

from collections import Counter
from typing import Any

from dunes.errors import DataError
from dunes.gateway.cdb import FEATURES, NOT_SUPPORTED
from dunes.gateway.cdbdata import Database
from dunes.gateway.cdbfields import Fields, read_model, read_transmit
from dunes.gateway.groups import Group, Label
from dunes.gateway.mark import Ranges, merged
from dunes.gateway.names import choose_name
from dunes.gateway.wholestate import PROVISIONER, About
from dunes.mesh.address import FIXED_MIN, GROUP_MIN, UNICAST_MAX
from dunes.mesh.keys import KEY_INDEX_MAX, AppKeyRecord, NetKeyRecord, Phase
from dunes.mesh.managerstate import KnownNode, NodeGone, Progress
from dunes.mesh.models.composition import Composition, Element
from dunes.mesh.state import KeysRecord
from dunes.mesh.toolbox import virtual_address
from dunes.mesh.wire import ModelId

HINT = "export it anew in the app, with all keys and nodes"
CODE = "bad-cdb"
WRAPPER = "meshNetwork"
"""Some programs put the database into an object of their own."""
IV_MAX = 0xFFFFFFFF


def is_cdb(content: object) -> bool:
    """Tell whether parsed JSON looks like a Configuration Database."""
    if not isinstance(content, dict):
        return False
    inner = content.get(WRAPPER, content)
    return isinstance(inner, dict) and "netKeys" in inner and "meshUUID" in inner


def read_cdb(content: dict[str, Any]) -> Database:
    """Read a file's parsed JSON.

    Raises:
        DataError: not such a database, or one that contradicts itself; says where.
    """
    top = Fields(content, HINT, CODE)
    if WRAPPER in content:
        top = Fields.of(top.part(WRAPPER))
    nets = tuple(_read_net(each) for each in top.list_of("netKeys"))
    if not nets:
        raise top.wrong("netKeys", "a list with a network key in it")
    apps = tuple(_read_app(each, nets) for each in top.list_of("appKeys"))
    _check_unique("netKeys", [net.index for net in nets])
    _check_unique("appKeys", [app.index for app in apps])
    keys = KeysRecord(
        tuple(sorted(nets, key=lambda net: net.index)),
        tuple(sorted(apps, key=lambda app: app.index)),
    )
    found = Database(top.name("meshName"), top.sixteen("meshUUID"), keys)
    provisioners = {each.sixteen("UUID"): each for each in top.list_of("provisioners")}
    for each in provisioners.values():
        ranges = each.list_of("allocatedUnicastRange")
        found.ranges += _read_ranges(ranges, "lowAddress", "highAddress")
    for node in top.list_of("nodes"):
        _read_node(node, provisioners, found)
    _check_addresses(found.taken)
    for group in top.list_of("groups"):
        _read_group(group, found)
    for excluded in top.list_of("networkExclusions"):
        _read_exclusions(excluded, found)
    if top.content.get("scenes"):
        found.notes["scenes are not kept"] = len(top.list_of("scenes"))
    return found


def _read_net(given: Fields) -> NetKeyRecord:
    old, new = _read_key(given)
    phase = Phase.NORMAL
    if "phase" in given.content:
        phase = Phase(given.number("phase", Phase.NORMAL, Phase.SWITCHING))
    if phase is Phase.NORMAL or new is None:  # a refresh without both keys is over
        return NetKeyRecord(given.number("index", 0, KEY_INDEX_MAX), new or old)
    return NetKeyRecord(given.number("index", 0, KEY_INDEX_MAX), old, new, phase)


def _read_app(given: Fields, nets: tuple[NetKeyRecord, ...]) -> AppKeyRecord:
    old, new = _read_key(given)
    bound = 0
    if "boundNetKey" in given.content:
        bound = given.number("boundNetKey", 0, KEY_INDEX_MAX)
    net = next((net for net in nets if net.index == bound), None)
    if net is None:
        raise given.wrong("boundNetKey", "the index of a network key that is in the file")
    index = given.number("index", 0, KEY_INDEX_MAX)
    if net.phase is Phase.NORMAL:
        return AppKeyRecord(index, bound, new or old)
    return AppKeyRecord(index, bound, old, new)


def _read_key(given: Fields) -> tuple[bytes, bytes | None]:
    """Give the key in use, and the new one of a refresh."""
    key = given.sixteen("key")
    if given.content.get("oldKey") is None:
        return key, None
    return given.sixteen("oldKey"), key


def _read_node(given: Fields, provisioners: dict[bytes, Fields], found: Database) -> None:
    uuid, unicast = given.sixteen("UUID"), given.hex_number("unicastAddress", UNICAST_MAX)
    if unicast == 0:
        raise given.wrong("unicastAddress", "a unicast address")
    elements = _read_elements(given)
    count = max(1, len(elements))
    if unicast + count - 1 > UNICAST_MAX:
        raise given.wrong("elements", "few enough for the unicast addresses")
    if given.said("excluded") or given.said("blacklisted"):
        found.gone.append(NodeGone(unicast, count, 0))
        return
    found.taken.append((unicast, unicast + count - 1))
    called = given.name("name")
    if given.content.get("deviceKey") is None:
        found.without_key.append(called or f"node at {unicast:#06x}")
        return
    settings = _read_settings(given, found)
    named = {node.name for node in (*found.nodes, *found.others)}
    name = choose_name(called, unicast, named)
    if called and called != name:
        settings["name"] = called
    settings["elements"] = elements
    if uuid in provisioners:
        settings[PROVISIONER] = _read_provisioner(provisioners[uuid])
    own_nets = given.list_of("netKeys")
    net_index = own_nets[0].number("index", 0, KEY_INDEX_MAX) if own_nets else 0
    if net_index not in {net.index for net in found.keys.nets}:
        raise given.wrong("netKeys[0].index", "the index of a network key that is in the file")
    done = given.said("configComplete") or uuid in provisioners
    progress = Progress.CONFIGURED if done else Progress.PROVISIONED
    composition = _composition(given, elements)
    device_key = given.sixteen("deviceKey")
    kind = found.others if uuid in provisioners else found.nodes
    kind.append(
        KnownNode(uuid, unicast, count, device_key, progress, 0, composition, name, net_index)
    )
    found.about[unicast] = About(settings)


def _read_elements(given: Fields) -> list[dict[str, Any]]:
    elements: dict[int, dict[str, Any]] = {}
    for at, each in enumerate(given.list_of("elements")):
        index = each.number("index", 0, 254) if "index" in each.content else at
        location = each.hex_number("location") if each.content.get("location") else 0
        elements[index] = {
            "index": index,
            "name": each.name("name") or f"Element {index}",
            "location": f"{location:04X}",
            "models": [read_model(model) for model in each.list_of("models")],
        }
    if sorted(elements) != list(range(len(elements))):
        raise given.wrong("elements", "numbered from 0 without a gap")
    return [elements[index] for index in sorted(elements)]


def _read_settings(given: Fields, found: Database) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if given.word("security") in {"secure", "insecure", "high", "low"}:
        good = given.word("security") in {"secure", "high"}
        settings["security"] = "secure" if good else "insecure"
    if given.content.get("defaultTTL") is not None:
        settings["defaultTTL"] = given.number("defaultTTL", 0, 127)
    if isinstance(given.content.get("secureNetworkBeacon"), bool):
        settings["secureNetworkBeacon"] = given.flag("secureNetworkBeacon")
    if isinstance(given.content.get("features"), dict):
        features = given.part("features")
        settings["features"] = {
            name: features.number(name, 0, NOT_SUPPORTED)
            for name in FEATURES
            if features.content.get(name) is not None
        }
    for name in ("networkTransmit", "relayRetransmit"):
        if isinstance(given.content.get(name), dict):
            transmit, in_steps = read_transmit(Fields.of(given.part(name)))
            found.notes["intervals were read as steps of 10 ms"] += in_steps
            if transmit is not None:
                settings[name] = transmit
    for name in ("netKeys", "appKeys"):
        settings[name] = [
            {
                "index": each.number("index", 0, KEY_INDEX_MAX),
                "updated": each.said("updated"),
            }
            for each in given.list_of(name)
        ]
    return settings


def _read_provisioner(given: Fields) -> dict[str, Any]:
    made: dict[str, Any] = {"provisionerName": given.name("provisionerName") or "provisioner"}
    for name, low, high in (
        ("allocatedUnicastRange", "lowAddress", "highAddress"),
        ("allocatedGroupRange", "lowAddress", "highAddress"),
        ("allocatedSceneRange", "firstScene", "lastScene"),
    ):
        made[name] = [
            {low: f"{first:04X}", high: f"{last:04X}"}
            for first, last in _read_ranges(given.list_of(name), low, high)
        ]
    return made


def _read_ranges(given: list[Fields], low: str, high: str) -> Ranges:
    ranges = []
    for each in given:
        first, last = each.hex_number(low), each.hex_number(high)
        if first > last:
            raise each.wrong(high, f"as high as {low}")
        ranges.append((first, last))
    return merged(ranges)


def _composition(given: Fields, elements: list[dict[str, Any]]) -> bytes:
    """Make page 0 again; empty if the database has none of it."""
    if any(given.content.get(name) is None for name in ("cid", "pid", "vid", "crpl")):
        return b""
    features = given.content.get("features")
    bits = 0
    for name, bit in FEATURES.items():
        if isinstance(features, dict) and features.get(name) in (0, 1):
            bits |= bit
    parts = []
    for each in elements:
        models = []
        for model in each["models"]:
            number = int(model["modelId"], 16)
            vendor = len(model["modelId"]) > len("1000")
            models.append(ModelId(number & 0xFFFF, number >> 16 if vendor else None))
        parts.append(Element(int(each["location"], 16), tuple(models)))
    cid, pid, vid, crpl = (given.hex_number(name) for name in ("cid", "pid", "vid", "crpl"))
    return Composition(cid, pid, vid, crpl, bits, tuple(parts)).encode() if parts else b""


def _read_group(given: Fields, found: Database) -> None:
    address = given.destination("address")
    name = given.name("name") or f"group {address}"
    if len(address) > len("C000"):
        uuid = bytes.fromhex(address)
        found.labels.append(Label(uuid, virtual_address(uuid), name))
        return
    number = int(address, 16)
    if not GROUP_MIN <= number < FIXED_MIN:
        found.notes["groups with fixed or odd addresses were left out"] += 1
        return
    parent = given.content.get("parentAddress")
    small = isinstance(parent, (str, int)) and len(str(parent)) <= len("0xC000")
    above = given.hex_number("parentAddress") if small else 0
    found.groups.append(Group(number, name, above))


def _read_exclusions(given: Fields, found: Database) -> None:
    index = given.number("ivIndex", 0, IV_MAX)
    addresses = [int(each, 16) for each in given.destinations("addresses")]
    if not all(0 < each <= UNICAST_MAX for each in addresses):
        raise given.wrong("addresses", "a list of unicast addresses")
    for first, last in merged((each, each) for each in addresses):
        found.gone.append(NodeGone(first, last - first + 1, index))


def _check_unique(what: str, indexes: list[int]) -> None:
    twice = [index for index, count in Counter(indexes).items() if count > 1]
    if twice:
        raise DataError(f"{what} has index {twice[0]} twice", hint=HINT, code=CODE)


def _check_addresses(taken: list[tuple[int, int]]) -> None:
    last_end = 0
    for first, last in sorted(taken):
        if first <= last_end:
            raise DataError(f"address {first:#06x} belongs to two nodes", hint=HINT, code=CODE)
        last_end = last
