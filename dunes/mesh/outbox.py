"""Sending: messages wait here for SEQ, for their turn, for acknowledgements.

    control      first: acknowledgements, proxy configuration, heartbeats
    messages     in order; a segmented one waits while another to its destination is under way
    segments     as they fall due

A number is taken at the moment its PDU is sealed, so PDUs leave in the order of their SEQ;
the first segment of a message leaves when its upper PDU is sealed, with the same number.
Bounded: `QUEUE_MAX` messages and as many control PDUs.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from dunes.errors import LocalError, TryLater
from dunes.mesh.address import ADDRESS_MAX, TTL_MAX, UNASSIGNED
from dunes.mesh.keyring import KeyRing
from dunes.mesh.keys import UpperKey
from dunes.mesh.lower import AKF, Access, Ack, Control, Segment, split
from dunes.mesh.network import NetworkPdu, encode_network
from dunes.mesh.outgoing import Fate, Transfer, Transfers
from dunes.mesh.sequence import SeqRecord, Sequence
from dunes.mesh.state import Journal, Store
from dunes.mesh.toolbox import virtual_address
from dunes.mesh.upper import (
    MIC_LONG,
    MIC_SHORT,
    PAYLOAD_BYTES_MAX,
    UNSEGMENTED_PAYLOAD_BYTES,
    Envelope,
    seal_access,
)

QUEUE_MAX = 1024
DEFAULT_TTL = 7


@dataclass(frozen=True, slots=True)
class Sent:
    """A message of ours is out of our hands.

    Attributes:
        handle: what `send` gave.
        fate: how it went; one in a single segment is DELIVERED to the air.
    """

    handle: int
    fate: Fate


class SealedPdu(NamedTuple):
    """A network PDU ready for a bearer.

    Attributes:
        dst: its destination, for filters.
        src: its source.
        ttl: 0 stays on one link.
        data: the octets.
        link: the link of a proxy configuration message; None for network PDUs.
    """

    dst: int
    src: int
    ttl: int
    data: bytes
    link: int | None = None


class Message(NamedTuple):
    """An access message to send.

    Attributes:
        dst: destination; with a label its virtual address.
        payload: opcode and parameters, 1 to 380 bytes.
        app_index: AppKey; None: the device key of `dst`, else of `src`.
        src: one of our elements; None: the primary one.
        net_index: subnet; None: that of the AppKey, else the first one.
        ttl: 0 or 2 to 127; None: the default.
        label: Label UUID of a virtual destination.
        szmic: an integrity code of 8 octets; makes it segmented.
        segmented: segment even a short one, so that it is acknowledged.
    """

    dst: int
    payload: bytes
    app_index: int | None
    src: int | None = None
    net_index: int | None = None
    ttl: int | None = None
    label: bytes | None = None
    szmic: bool = False
    segmented: bool = False

    def __repr__(self) -> str:
        """Hide the payload: it may hold a key."""
        return f"<Message to {self.dst:#06x}, {len(self.payload)} bytes>"


class _Waiting(NamedTuple):
    handle: int
    src: int
    ttl: int
    net_index: int
    segmented: bool
    message: Message


class _ControlOut(NamedTuple):
    src: int
    dst: int
    ttl: int
    net_index: int
    transport: bytes
    link: int | None = None


@dataclass(slots=True, repr=False)
class Outbox:
    """All that one device sends.

    Attributes:
        unicast: primary element's address.
        keys: NetKeys and AppKeys.
        device_keys: by the primary address of the node they belong to.
        sequence: the SEQ counter.
        journal: what must be stored; it may hold sending back.
        on_sent: told how each message ended.
        default_ttl: TTL where a message has none.
        offline: no bearer carries messages now: they wait; proxy configuration does not.
    """

    unicast: int
    keys: KeyRing
    device_keys: dict[int, UpperKey]
    sequence: Sequence
    journal: Journal
    transfers: Transfers
    on_sent: Callable[[Sent], None]
    default_ttl: int = DEFAULT_TTL
    offline: bool = False
    _control: deque[_ControlOut] = field(default_factory=deque)
    _queue: deque[_Waiting] = field(default_factory=deque)
    _handle: int = 0

    def send(self, message: Message) -> int:
        """Queue an access message.

        Returns:
            A handle that a `Sent` event repeats.

        Raises:
            LocalError: a key is unknown, a field is out of range.
            TryLater: the queue is full.
        """
        _check(message)
        if len(self._queue) >= QUEUE_MAX:
            raise TryLater(f"{QUEUE_MAX} mesh messages wait to be sent")
        src = self.unicast if message.src is None else message.src
        if message.app_index is None and not {message.dst, src} & self.device_keys.keys():
            raise LocalError(f"no device key for {message.dst:#06x}")
        self._handle += 1
        segmented = (
            message.segmented or message.szmic or len(message.payload) > UNSEGMENTED_PAYLOAD_BYTES
        )
        ttl = self.default_ttl if message.ttl is None else message.ttl
        net_index = self._net_of(message)
        self._queue.append(_Waiting(self._handle, src, ttl, net_index, segmented, message))
        return self._handle

    def _net_of(self, message: Message) -> int:
        if message.app_index is not None:
            if message.app_index not in self.keys.apps:
                raise LocalError(f"no AppKey {message.app_index}")
            return self.keys.apps[message.app_index].net_index
        found = message.net_index
        if found is None:
            found = next(iter(self.keys.subnets), None)
        if found is None or found not in self.keys.subnets:
            raise LocalError(f"no NetKey {found}")
        return found

    def send_control(
        self, opcode: int, parameters: bytes, *, dst: int, net_index: int, ttl: int
    ) -> None:
        """Queue a control message of one piece."""
        transport = Control(opcode, parameters).encode()
        self._push(_ControlOut(self.unicast, dst, ttl, net_index, transport))

    def send_ack(self, ack: Ack, *, src: int, dst: int, net_index: int, ttl: int | None) -> None:
        """Queue an acknowledgement of segments."""
        some = self.default_ttl if ttl is None else ttl
        self._push(_ControlOut(src, dst, some, net_index, ack.encode()))

    def send_proxy(self, link: int, transport: bytes, *, net_index: int) -> None:
        """Queue a proxy configuration message for one link."""
        self._push(_ControlOut(self.unicast, UNASSIGNED, 0, net_index, transport, link))

    def _push(self, out: _ControlOut) -> None:
        if len(self._control) < QUEUE_MAX:
            self._control.append(out)

    @property
    def waiting(self) -> int:
        """Count the messages that wait."""
        return len(self._queue)

    @property
    def able(self) -> bool:
        """Say whether a message could leave now: a bearer, a stored SEQ, nothing to store."""
        return not self.offline and not self.journal.blocked and bool(self.sequence.usable)

    def next_timer_s(self) -> float | None:
        """Say when a segment is due; None while none could leave."""
        return self.transfers.next_timer_s() if self.able else None

    @property
    def idle(self) -> bool:
        """Say whether nothing waits and no segments are out."""
        return not self._queue and not self._control and not self.transfers.active

    def pdus_to_send(self, now_s: float) -> list[SealedPdu]:
        """Give the sealed PDUs that are due; fewer while SEQ waits to be stored."""
        out: list[SealedPdu] = []
        while not self.journal.blocked and self.sequence.usable:
            sealed = self._next(now_s)
            if sealed is None:
                break
            out.append(sealed)
        self.collect_ended()
        self.reserve()
        return out

    def reserve(self) -> None:
        """Ask for the next block of SEQ if half of this one is used."""
        record = self.sequence.reservation()
        if record is not None:
            self.journal.add("seq", record)

    def stored(self, ticket: int) -> list[Store]:
        """Go on: a `Store` was written. Gives the stores that are done with it."""
        done = self.journal.stored(ticket)
        for store in done:
            for change in store.changes:
                if isinstance(change, SeqRecord):
                    self.sequence.stored(change)
        return done

    def collect_ended(self) -> None:
        """Tell of the transfers that ended."""
        for transfer, fate in self.transfers.take_ended():
            self.on_sent(Sent(transfer.handle, fate))

    def restart(self, iv_index: int) -> None:
        """Begin SEQ anew, as the IV index to send with rose; transfers of the old one end."""
        if self.sequence.restart(iv_index):
            self.transfers.abandon(iv_index)
            self.collect_ended()
            self.reserve()

    def _next(self, now_s: float) -> SealedPdu | None:
        for _ in range(len(self._control)):
            out = self._control.popleft()
            if self.offline and out.link is None:
                self._control.append(out)
            elif out.net_index in self.keys.subnets:
                return self._seal(True, out, out.transport, out.net_index, self._take())
        if self.offline:
            return None
        return self._next_message(now_s) or self._seal_segment(now_s)

    def _next_message(self, now_s: float) -> SealedPdu | None:
        """Seal the first message that need not wait; those that do keep their order."""
        waiting_on: list[_Waiting] = []
        sealed = None
        while self._queue and sealed is None:
            waiting = self._queue.popleft()
            if waiting.segmented and self.transfers.busy(waiting.message.dst):
                waiting_on.append(waiting)
            elif not self._still_possible(waiting):
                self.on_sent(Sent(waiting.handle, Fate.REFUSED))
            elif waiting.segmented:
                sealed = self._begin_transfer(waiting, now_s)
            else:
                sealed = self._seal_message(waiting)
        self._queue.extendleft(reversed(waiting_on))
        return sealed

    def _still_possible(self, waiting: _Waiting) -> bool:
        """Say whether the keys are still there: they may have gone while it waited."""
        index = waiting.message.app_index
        if waiting.net_index not in self.keys.subnets:
            return False
        if index is not None:
            return index in self.keys.apps
        return bool({waiting.message.dst, waiting.src} & self.device_keys.keys())

    def _seal_message(self, waiting: _Waiting) -> SealedPdu:
        message, seq = waiting.message, self._take()
        key = self._key(waiting)
        envelope = Envelope(seq, waiting.src, message.dst, self.sequence.iv_index)
        upper = seal_access(key, message.payload, envelope, message.label)
        self.on_sent(Sent(waiting.handle, Fate.DELIVERED))
        where = _ControlOut(waiting.src, message.dst, waiting.ttl, waiting.net_index, b"")
        lower = Access(not key.device, key.aid, upper).encode()
        return self._seal(False, where, lower, waiting.net_index, seq)

    def _begin_transfer(self, waiting: _Waiting, now_s: float) -> SealedPdu:
        message, seq = waiting.message, self._take()
        key = self._key(waiting)
        iv_index = self.sequence.iv_index
        envelope = Envelope(seq, waiting.src, message.dst, iv_index, message.szmic)
        upper = seal_access(key, message.payload, envelope, message.label)
        transfer = Transfer(
            waiting.handle,
            waiting.src,
            message.dst,
            waiting.ttl,
            waiting.net_index,
            iv_index,
            seq,
            split(
                upper,
                ctl=False,
                first=key.aid if key.device else AKF | key.aid,
                szmic=message.szmic,
                seq_auth=seq,
            ),
        )
        return self._seal_part(transfer, self.transfers.begin(transfer, now_s), seq)

    def _seal_segment(self, now_s: float) -> SealedPdu | None:
        due = self.transfers.next_segment(now_s, self.sequence.next)
        if due is None or due[0].net_index not in self.keys.subnets:
            return None
        return self._seal_part(*due, self._take())

    def _seal_part(self, transfer: Transfer, segment: Segment, seq: int) -> SealedPdu:
        where = _ControlOut(transfer.src, transfer.dst, transfer.ttl, transfer.net_index, b"")
        return self._seal(False, where, segment.encode(), transfer.net_index, seq)

    def _key(self, waiting: _Waiting) -> UpperKey:
        index = waiting.message.app_index
        if index is not None:
            return self.keys.transmit_app(self.keys.apps[index])
        dst = waiting.message.dst
        return self.device_keys[dst if dst in self.device_keys else waiting.src]

    def _take(self) -> int:
        seq = self.sequence.take()
        if seq is None:
            raise LocalError("a sequence number was taken that is not stored")
        return seq

    def _seal(
        self, ctl: bool, where: _ControlOut, lower: bytes, net_index: int, seq: int
    ) -> SealedPdu:
        credentials = self.keys.subnets[net_index].transmit.flooding
        pdu = NetworkPdu(ctl, where.ttl, seq, where.src, where.dst, lower, self.sequence.iv_index)
        data = encode_network(credentials, pdu, proxy=where.link is not None)
        return SealedPdu(where.dst, where.src, where.ttl, data, where.link)


def _check(message: Message) -> None:
    """Refuse what could not be sealed later."""
    if message.ttl is not None and (message.ttl == 1 or not 0 <= message.ttl <= TTL_MAX):
        raise LocalError(f"TTL {message.ttl} is never sent: 0 or 2 to 127")
    if not UNASSIGNED <= message.dst <= ADDRESS_MAX:
        raise LocalError(f"a message to address {message.dst:#x}")
    if message.dst == UNASSIGNED:
        raise LocalError("a message to address 0")
    if message.label is not None and virtual_address(message.label) != message.dst:
        raise LocalError(f"{message.dst:#06x} is not the virtual address of this label")
    room = PAYLOAD_BYTES_MAX - (MIC_LONG - MIC_SHORT if message.szmic else 0)
    if not 0 < len(message.payload) <= room:
        raise LocalError(f"an access payload has 1 to {room} bytes, not {len(message.payload)}")
