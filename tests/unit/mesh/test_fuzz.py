"""Whatever comes from the air: no exception leaves a core, and memory stays bounded."""

from random import Random

import pytest

from dunes.mesh.beacon import NetworkState, encode_private, encode_secure
from dunes.mesh.control import parse_control
from dunes.mesh.errors import BadPdu
from dunes.mesh.incoming import CAPACITY, FINISHED_MAX
from dunes.mesh.keys import app_key, dev_key
from dunes.mesh.links import AIR, LinkRefused
from dunes.mesh.lower import split
from dunes.mesh.manager import REPLAY_CAPACITY
from dunes.mesh.models import config_node
from dunes.mesh.models.answers import WITH_APP_KEY
from dunes.mesh.models.config import MESSAGES
from dunes.mesh.models.habitat import habitat
from dunes.mesh.network import NetworkPdu, encode_network
from dunes.mesh.provisioning.crypto import Grant
from dunes.mesh.provisioning.device import Device
from dunes.mesh.provisioning.provisioner import Provisioner
from dunes.mesh.sar import MessageType, split_proxy
from dunes.mesh.stack import CACHE_MAX
from dunes.mesh.state import Store
from dunes.mesh.upper import Envelope, seal_access

RESET = config_node.NodeReset.opcode
"""It would end the game."""
OPCODES = [
    *(MESSAGES.keys() - {RESET}),
    *WITH_APP_KEY,
    *(habitat().opcode(name) for name in habitat().messages),
]


class Liar:
    """A node that holds all the keys and says what it likes."""

    def __init__(self, world, seed):
        self.dice = Random(seed)
        keys = world.manager.stack.keys
        self.net = keys.subnets[0].current
        self.upper = [app_key(keys.apps[0].current.key)]
        self.upper += [dev_key(node.device_key) for node in world.manager.nodes.values()]
        self.addresses = [1, 2, 3, 4, 5, 0xC001, 0xFFFF, 0xFFFC, 0x8123]
        self.seq = 1 << 20

    def payload(self):
        dice = self.dice
        opcode = dice.choice(OPCODES)
        size = 1 if opcode < 0x80 else 2 if opcode < 0x10000 else 3
        octets = opcode.to_bytes(size, "big") + dice.randbytes(
            dice.choice([0, 1, 2, 3, 4, 6, 8, 11, 17, 40])
        )
        if dice.random() < 0.2:
            octets = dice.randbytes(dice.randrange(1, 30))
        return octets[:380]

    def transports(self, src, dst):
        """Give (ctl, transport PDU) of an authentic message, or of nonsense."""
        dice = self.dice
        if dice.random() < 0.4:
            return [(dice.random() < 0.5, dice.randbytes(dice.randrange(1, 13)))]
        key, szmic = dice.choice(self.upper), dice.random() < 0.2
        upper = seal_access(key, self.payload(), Envelope(self.seq, src, dst, 0, szmic))
        first = key.aid if key.device else 0x40 | key.aid
        if len(upper) <= 15 and not szmic:
            return [(False, bytes([first]) + upper)]
        segments = split(upper, ctl=False, first=first, szmic=szmic, seq_auth=self.seq)
        return [(False, segment.encode()) for segment in segments if dice.random() < 0.95]

    def network(self):
        dice = self.dice
        src = dice.choice([dice.randrange(1, 0x7FFF), 2, 4, 0x77])
        dst = dice.choice(self.addresses)
        for ctl, transport in self.transports(src, dst):
            seq = self.seq - dice.choice([0] * 9 + [1000])
            pdu = NetworkPdu(ctl, dice.choice([0, 2, 5, 127]), seq, src, dst, transport, 0)
            self.seq += 1
            yield encode_network(self.net.flooding, pdu)

    def beacon(self):
        dice = self.dice
        state = NetworkState(
            dice.choice([0, 0, 0, 2**32 - 1]), dice.random() < 0.5, dice.random() < 0.5
        )
        data = encode_secure(self.net, state)
        if dice.random() < 0.3:
            data = encode_private(self.net, state, dice.randbytes(13))
        return self.spoil(data)

    def proxy(self):
        transport = self.dice.randbytes(self.dice.randrange(1, 12))
        pdu = NetworkPdu(True, 0, self.seq, 0x77, 0, transport, 0)
        self.seq += 1
        return encode_network(self.net.flooding, pdu, proxy=True)

    def spoil(self, data):
        if self.dice.random() < 0.3:
            at = self.dice.randrange(len(data) + 1)
            return data[:at] + self.dice.randbytes(self.dice.randrange(0, 3)) + data[at + 1 :]
        return data

    def values(self):
        """Give attribute values: whole messages of every kind, mostly in order."""
        kind = self.dice.choice(list(MessageType))
        match kind:
            case MessageType.NETWORK:
                messages = list(self.network())
            case MessageType.BEACON:
                messages = [self.beacon()]
            case MessageType.CONFIGURATION:
                messages = [self.proxy()]
            case _:
                messages = [self.dice.randbytes(self.dice.randrange(1, 66))]
        for message in messages:
            for value in split_proxy(kind, message or b"x", 20):
                yield self.spoil(value) if self.dice.random() < 0.02 else value


class Attack:
    """The liar talks to the gateway over a link and to the nodes over link and air."""

    def __init__(self, world, seed):
        self.world, self.liar = world, Liar(world, seed)
        self.link = next(iter(world.links))
        self.fallen = 0

    def round(self):
        world, liar = self.world, self.liar
        for value in list(liar.values()):
            world.manager.receive_pdu(self.link, value, world.now_s)
        for value in list(liar.values()):
            world.nodes[0].core.receive_pdu(self.link, value, world.now_s)
        for side in world.nodes:
            for data in liar.network():
                side.core.receive_pdu(AIR, b"\x2a" + liar.spoil(data), world.now_s)
            side.core.receive_pdu(AIR, b"\x2b" + liar.beacon(), world.now_s)
        world.now_s += liar.dice.choice([0.0, 0.05, 1.0])
        for side in [world.gateway, *world.nodes]:
            side.core.handle_timer(world.now_s)
            side.core.pdus_to_send(world.now_s)
            side.serve(world.now_s)
            side.events.clear()
        self.reconnect()

    def reconnect(self):
        world, node = self.world, self.world.nodes[0].core
        if self.link in world.manager.proxies.links and self.link in node.proxy.links:
            return
        self.fallen += 1
        world.manager.closed(self.link, world.now_s)
        node.disconnected(self.link)
        self.link += 1
        node.connected(self.link, 20, world.now_s)
        world.manager.open_proxy(self.link, 20, world.now_s)


@pytest.mark.parametrize("seed", range(4))
def test_a_gateway_and_its_nodes_stand_a_liar_with_all_keys(pair, seed):
    attack = Attack(pair, seed)
    for _ in range(1500):
        attack.round()
    for side in [pair.gateway, *pair.nodes]:
        stack = side.core.stack
        if stack is None:
            continue  # the liar knew how to reset it
        assert len(stack._cache) <= CACHE_MAX
        assert len(stack.replay.last) <= REPLAY_CAPACITY
        assert stack.reassembler.unfinished <= CAPACITY
        assert len(stack.reassembler._finished) <= FINISHED_MAX
    heard = pair.manager.stack
    assert {"mesh-pdu", "mesh-mic", "mesh-replay"} <= heard.dropped.keys()
    assert len(heard.replay.last) > 5, "some of its lies were authentic"
    assert attack.fallen


@pytest.mark.parametrize("seed", range(3))
def test_random_octets_do_nothing(pair, seed):
    dice = Random(seed)
    link = next(iter(pair.links))
    for _ in range(2000):
        octets = dice.randbytes(dice.randrange(0, 40))
        pair.manager.receive_pdu(link, octets, 0.0)
        for side in pair.nodes:
            side.core.receive_pdu(dice.choice([AIR, link]), octets, 0.0)
        if link not in pair.manager.proxies.links:
            link += 1
            pair.manager.open_proxy(link, 20, 0.0)
    assert all(side.core.provisioned for side in pair.nodes)
    assert len(pair.manager._events) <= 4096
    assert isinstance(pair.manager.next_event(), Store | LinkRefused)


@pytest.mark.parametrize("seed", range(20))
def test_provisioning_stands_any_octets_at_any_moment(seed):
    dice = Random(seed)
    for _ in range(30):
        one, other = Provisioner(Random(1)), Device(Random(2))
        one.start(0.0)
        for _ in range(20):
            for data in one.pdus_to_send():
                other.receive_pdu(mutate(dice, data), 0.0)
            for data in other.pdus_to_send():
                one.receive_pdu(mutate(dice, data), 0.0)
            while (event := one.next_event()) is not None:
                if type(event).__name__ == "CapabilitiesReceived":
                    one.grant(Grant(bytes(16), 0, False, False, 0, 5), 0.0)
                elif type(event).__name__ == "Agreed":
                    one.stored(0.0)
            while (event := other.next_event()) is not None:
                if type(event).__name__ == "Agreed":
                    other.stored()


def mutate(dice, data):
    if dice.random() > 0.15:
        return data
    match dice.randrange(4):
        case 0:
            return dice.randbytes(dice.randrange(0, 70))
        case 1:
            return data[: dice.randrange(len(data) + 1)]
        case 2:
            return bytes([dice.randrange(12)]) + data[1:]
    at = dice.randrange(len(data))
    return data[:at] + bytes([dice.randrange(256)]) + data[at + 1 :]


def test_control_messages_of_any_octets_are_read_or_refused():
    dice = Random(3)
    for _ in range(5000):
        opcode, data = dice.randrange(128), dice.randbytes(dice.randrange(0, 12))
        try:
            parse_control(opcode, data)
        except BadPdu:
            continue
