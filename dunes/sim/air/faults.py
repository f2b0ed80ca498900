"""What can go wrong with a node, by order. Pure: dice and octets come in, decisions go out.

    dead                 it neither sends nor hears, until the fault is cleared
    reboot               it loses power, and is back from its storage a moment later; once
    reset-provisioning   power fails when the provisioner has committed itself; once
    lose-complete        it takes the keys, and the link drops before it can say so; once
    drop-segments        a third of the segments to and from it are lost
    drop-messages        a third of the network PDUs that it sends are lost
    late                 what it sends is late
    wrong-oob            it was given another static OOB value than its label says
    wrong-confirmation   its confirmation is not that of its random number
    replay               it sends old network PDUs again

A fault lasts until it is cleared, or the site ends; those that happen once end by themselves.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from dunes.errors import PeerError, UsageError
from dunes.mesh.links import AD_MESH_MESSAGE, AIR, Outgoing
from dunes.mesh.network import decode_network
from dunes.mesh.node import Node
from dunes.mesh.sar import MessageType

SEGMENTS_LOST = MESSAGES_LOST = 1 / 3
LATE_S = 1.5
REPLAYED_AFTER_S = 0.5
REPLAYED_KEPT = 8
OFF_S = 2.0
"""How long a reboot takes."""
TYPE_MASK, FIRST_OR_WHOLE = 0x3F, 0x80
CONFIRMATION, COMPLETE = 0x05, 0x08
"""Provisioning PDUs (Mesh Protocol 1.1, 5.4.1)."""
SEGMENTED = 0x80
"""The first bit of a lower transport PDU (3.5.2)."""


class Fault(StrEnum):
    """Kinds of faults."""

    DEAD = "dead"
    REBOOT = "reboot"
    RESET_PROVISIONING = "reset-provisioning"
    LOSE_COMPLETE = "lose-complete"
    DROP_SEGMENTS = "drop-segments"
    DROP_MESSAGES = "drop-messages"
    LATE = "late"
    WRONG_OOB = "wrong-oob"
    WRONG_CONFIRMATION = "wrong-confirmation"
    REPLAY = "replay"


def read_fault(text: str) -> Fault:
    """Read the name of a fault.

    Raises:
        UsageError: there is none of that name.
    """
    try:
        return Fault(text)
    except ValueError:
        known = ", ".join(Fault)
        raise UsageError(f"no fault {text[:40]!r}; there is {known}") from None


class HangUp(Exception):
    """The link of the node drops now."""


@dataclass(slots=True)
class Late:
    """Something to send after a while."""

    after_s: float
    out: Outgoing


@dataclass(slots=True)
class Faults:
    """The faults of one node.

    Attributes:
        rng: which segments are lost.
        active: those that last.
    """

    rng: Random
    active: set[Fault] = field(default_factory=set)
    _sent: list[Outgoing] = field(default_factory=list)

    def receive(self, node: Node, link: int, data: bytes) -> bool:
        """Take what came; False: it is lost.

        Raises:
            HangUp: the link drops instead.
        """
        if not self.active:
            return True
        pdu = _provisioning(data) if link != AIR else None
        if pdu == CONFIRMATION and Fault.RESET_PROVISIONING in self.active:
            self.active.discard(Fault.RESET_PROVISIONING)
            raise HangUp
        return not self._loses(node, link, data)

    def send(self, node: Node, out: Outgoing) -> list[Late]:
        """Say what is sent in the place of something, and when.

        Raises:
            HangUp: the link drops instead.
        """
        if not self.active:
            return [Late(0.0, out)]
        pdu = _provisioning(out.data) if out.link != AIR else None
        if pdu == COMPLETE and Fault.LOSE_COMPLETE in self.active:
            self.active.discard(Fault.LOSE_COMPLETE)
            raise HangUp
        if pdu == CONFIRMATION and Fault.WRONG_CONFIRMATION in self.active:
            spoilt = out.data[:2] + bytes([out.data[2] ^ 1]) + out.data[3:]
            out = out._replace(data=spoilt)
        if self._loses(node, out.link, out.data) or self._swallows(out):
            return []
        after_s = LATE_S if Fault.LATE in self.active else 0.0
        return [Late(after_s, out), *self._replay(out, after_s)]

    def _replay(self, out: Outgoing, after_s: float) -> list[Late]:
        """Send an older PDU of the same kind of link again, after this one."""
        if Fault.REPLAY not in self.active or _network(out.link, out.data) is None:
            return []
        old = [each for each in self._sent if each.link == out.link]
        self._sent = [*self._sent, out][-REPLAYED_KEPT:]
        return [Late(after_s + REPLAYED_AFTER_S, self.rng.choice(old))] if old else []

    def _swallows(self, out: Outgoing) -> bool:
        if Fault.DROP_MESSAGES not in self.active or _network(out.link, out.data) is None:
            return False
        return self.rng.random() < MESSAGES_LOST

    def _loses(self, node: Node, link: int, data: bytes) -> bool:
        if Fault.DROP_SEGMENTS not in self.active or not _is_segment(node, link, data):
            return False
        return self.rng.random() < SEGMENTS_LOST


def _provisioning(data: bytes) -> int | None:
    """Give the type of the provisioning PDU that begins in an attribute value."""
    begins = len(data) > 1 and not data[0] & FIRST_OR_WHOLE
    return data[1] if begins and data[0] & TYPE_MASK == MessageType.PROVISIONING else None


def _network(link: int, data: bytes) -> bytes | None:
    """Give the network PDU in what goes over a link or the air; None where there is none."""
    wanted = AD_MESH_MESSAGE if link == AIR else MessageType.NETWORK
    return data[1:] if data and data[0] == wanted else None


def _is_segment(node: Node, link: int, data: bytes) -> bool:
    sealed = _network(link, data)
    if sealed is None or node.stack is None:
        return False
    try:
        pdu = decode_network(node.stack.keys, node.stack.iv.index, sealed)
    except PeerError:
        return False
    return bool(pdu.transport[0] & SEGMENTED)
