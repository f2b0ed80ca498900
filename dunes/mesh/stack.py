"""Network and transport joined: from a sealed PDU to an access message, and back.

`Node` and `Manager` each hold one. It knows no links: it gives sealed PDUs, they carry them.

    stack.receive_network(pdu, now_s)      from any bearer
    stack.receive_beacon(pdu, now_s)
    stack.send(Message(dst, payload, …))   a handle; its end is a `Sent` event
    stack.pdus_to_send(now_s)              sealed PDUs, SEQ taken from stored blocks
    stack.next_timer_s(), handle_timer(now_s)
    stack.journal                          what must be stored, see `dunes.mesh.state`

Bounded: a message cache of `CACHE_MAX`; queues, reassembly and replay as their files say.
"""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from dunes.errors import PeerError
from dunes.mesh import address
from dunes.mesh.access import AccessMessage, split_opcode
from dunes.mesh.beacon import NetworkState, UnprovisionedBeacon, decode_beacon
from dunes.mesh.control import ControlMessage, parse_control
from dunes.mesh.errors import NotAuthentic
from dunes.mesh.incoming import Reassembler, Whole
from dunes.mesh.ivindex import UNKNOWN, IvIndex
from dunes.mesh.keyring import KeyRing
from dunes.mesh.keys import PRIMARY, UpperKey
from dunes.mesh.lower import AID_MASK, AKF, Access, Ack, Control, Segment, parse_lower
from dunes.mesh.network import NetworkPdu, decode_network
from dunes.mesh.outbox import Message, Outbox, SealedPdu, Sent
from dunes.mesh.outgoing import Transfers
from dunes.mesh.replay import ReplayList
from dunes.mesh.sequence import BLOCK, SeqRecord, Sequence
from dunes.mesh.state import EVENTS_MAX, Journal, KeysRecord, StackState
from dunes.mesh.timing import Timing
from dunes.mesh.upper import Envelope, open_access

SUSPECTS_MAX = 1024
"""Pairs of source and reason that are counted."""
CACHE_MAX = 2048
IV_UPDATE_AT = 0x800000
"""From this SEQ on an IV update is begun; the rest lasts while it takes its days."""


@dataclass(frozen=True, slots=True)
class ControlReceived:
    """A transport control message to us, or to a group of ours."""

    src: int
    dst: int
    ttl: int
    message: ControlMessage


@dataclass(frozen=True, slots=True)
class NetworkChanged:
    """The IV index or a key refresh moved on."""

    iv_index: int
    updating: bool
    net_index: int


StackEvent = AccessMessage | ControlReceived | Sent | NetworkChanged


@dataclass(slots=True, repr=False)
class Stack:
    """Network and transport of one device.

    Attributes:
        unicast: primary element's address.
        elements: how many it has.
        keys: NetKeys and AppKeys.
        device_keys: by the primary address of the node they belong to.
        groups: subscribed groups and virtual addresses.
        labels: Label UUIDs by virtual address.
        every_group: take what is sent to any group: a listening gateway.
    """

    unicast: int
    elements: int
    keys: KeyRing
    iv: IvIndex
    sequence: Sequence
    replay: ReplayList
    timing: Timing = field(default_factory=Timing)
    device_keys: dict[int, UpperKey] = field(default_factory=dict)
    groups: set[int] = field(default_factory=lambda: {address.ALL_NODES})
    labels: dict[int, list[bytes]] = field(default_factory=dict)
    every_group: bool = False
    journal: Journal = field(default_factory=Journal)
    events: deque[StackEvent] = field(default_factory=lambda: deque(maxlen=EVENTS_MAX))
    dropped: Counter[str] = field(default_factory=Counter)
    suspects: Counter[tuple[int, str]] = field(default_factory=Counter)
    reassembler: Reassembler = field(init=False)
    outbox: Outbox = field(init=False)
    _cache: dict[tuple[int, int, int], None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the two sides of segmentation."""
        self.reassembler = Reassembler(self.timing.receiver)
        self.outbox = Outbox(
            self.unicast,
            self.keys,
            self.device_keys,
            self.sequence,
            self.journal,
            Transfers(self.timing.transmitter),
            self.events.append,
        )

    @classmethod
    def restore(
        cls,
        state: StackState,
        *,
        unicast: int,
        elements: int,
        now_s: float,
        slept_s: float = 0.0,
        replay_capacity: int,
        block: int = BLOCK,
        timing: Timing | None = None,
        journal: Journal | None = None,
    ) -> "Stack":
        """Go on from stored state; its first sending reserves a new block of SEQ.

        Args:
            state: as stored last.
            unicast: primary element's address.
            elements: how many.
            now_s: seconds on the clock of all other calls.
            slept_s: seconds since `state` was written.
            replay_capacity: sources the replay list holds.
            block: SEQ numbers to reserve at once.
            timing: of segmentation.
            journal: what must be stored is noted there; a new one if not given.
        """
        iv = IvIndex.restore(state.iv, now_s, slept_s)
        stack = cls(
            unicast,
            elements,
            KeyRing.restore(state.keys.nets, state.keys.apps),
            iv,
            Sequence.restore(state.seq, iv.transmit, block),
            ReplayList.restore(replay_capacity, state.replay),
            timing or Timing(),
            journal=journal or Journal(),
        )
        stack.replay.purge(iv.index)
        stack.outbox.reserve()
        return stack

    def state(self, now_s: float) -> StackState:
        """Give everything that is stored, as of now; SEQ as the last block that was asked for."""
        seq = SeqRecord(self.sequence.iv_index, max(self.sequence.asked, self.sequence.limit))
        keys = KeysRecord(self.keys.net_records, self.keys.app_records)
        return StackState(seq, self.iv.record(now_s), keys, self.replay.entries)

    # ---------------------------------------------------------------- from the air

    def receive_network(self, data: bytes, now_s: float) -> NetworkPdu | None:
        """Take a network PDU; what is for us becomes events.

        Returns:
            The PDU if it is authentic, new and not our own: a relay or proxy passes it on.
        """
        if self.iv.index == UNKNOWN:
            self.dropped["mesh-iv-unknown"] += 1
            return None
        try:
            pdu = decode_network(self.keys, self.iv.index, data)
        except PeerError as error:
            self.dropped[error.code] += 1
            return None
        if self.has_seen(pdu):
            return None
        self._cache[pdu.src, pdu.seq, pdu.iv_index] = None
        if len(self._cache) > CACHE_MAX:
            del self._cache[next(iter(self._cache))]
        if self.is_for_us(pdu.dst):
            try:
                self._transport(pdu, now_s)
            except PeerError as error:
                self.dropped[error.code] += 1
                self._suspect(pdu.src, error.code)
        return pdu

    def _suspect(self, src: int, code: str) -> None:
        """Count by source what somebody who has the network key sent and should not have."""
        if (src, code) in self.suspects or len(self.suspects) < SUSPECTS_MAX:
            self.suspects[src, code] += 1

    def has_seen(self, pdu: NetworkPdu) -> bool:
        """Say whether a PDU is our own, or in the message cache."""
        return self.is_own(pdu.src) or (pdu.src, pdu.seq, pdu.iv_index) in self._cache

    def receive_proxy(self, data: bytes) -> NetworkPdu | None:
        """Open a proxy configuration message; its `transport` is the message."""
        if self.iv.index == UNKNOWN:
            self.dropped["mesh-iv-unknown"] += 1
            return None
        try:
            pdu = decode_network(self.keys, self.iv.index, data, proxy=True)
            self.replay.check(pdu.src, pdu.iv_index, pdu.seq)
        except PeerError as error:
            self.dropped[error.code] += 1
            return None
        if self.is_own(pdu.src):
            return None
        self._accept(pdu)
        return pdu

    def receive_beacon(self, data: bytes, now_s: float) -> NetworkState | None:
        """Follow an authentic beacon of ours.

        Raises:
            NotAuthentic: it names our network and its tag is wrong: drop that link.
        """
        try:
            seen = decode_beacon(self.keys, data)
        except NotAuthentic:
            self.dropped[NotAuthentic.code] += 1
            raise
        except PeerError as error:
            self.dropped[error.code] += 1
            return None
        if seen is None or isinstance(seen, UnprovisionedBeacon):
            return None
        self._follow_refresh(seen)
        if seen.net_index == PRIMARY or self.keys.primary is None:
            self._moved(self.iv.receive(seen, now_s, busy=self.busy), now_s)
        return seen

    def is_own(self, unicast: int) -> bool:
        """Say whether one of our elements has this address."""
        return self.unicast <= unicast < self.unicast + self.elements

    def is_for_us(self, dst: int) -> bool:
        """Say whether a destination concerns us."""
        if address.is_unicast(dst):
            return self.is_own(dst)
        if dst in self.groups or dst in self.labels:
            return True
        return self.every_group and address.is_group(dst)

    def _transport(self, pdu: NetworkPdu, now_s: float) -> None:
        self.replay.check(pdu.src, pdu.iv_index, pdu.seq)
        lower = parse_lower(pdu.ctl, pdu.transport)
        match lower:
            case Access():
                envelope = Envelope(pdu.seq, pdu.src, pdu.dst, pdu.iv_index)
                self._open(pdu, lower.akf, lower.aid, lower.upper, envelope)
            case Segment():
                whole = self.reassembler.receive(pdu, lower, now_s)
                if whole is not None:
                    self._assembled(whole)
            case Ack():
                if self.outbox.transfers.receive_ack(pdu.src, pdu.dst, lower, now_s):
                    self._accept(pdu)
            case Control():
                message = parse_control(lower.opcode, lower.parameters)
                self._accept(pdu)
                self.events.append(ControlReceived(pdu.src, pdu.dst, pdu.ttl, message))

    def _assembled(self, whole: Whole) -> None:
        pdu, segment = whole.pdu, whole.segment
        if segment.ctl:
            message = parse_control(segment.first, whole.upper)
            self._accept(pdu)
            self.events.append(ControlReceived(pdu.src, pdu.dst, pdu.ttl, message))
            return
        envelope = Envelope(whole.seq_auth, pdu.src, pdu.dst, pdu.iv_index, segment.szmic)
        akf, aid = bool(segment.first & AKF), segment.first & AID_MASK
        self._open(pdu, akf, aid, whole.upper, envelope)

    def _open(
        self, pdu: NetworkPdu, akf: bool, aid: int, upper: bytes, envelope: Envelope
    ) -> None:
        labels: Iterable[bytes | None] = (None,)
        if address.is_virtual(pdu.dst):
            labels = tuple(self.labels.get(pdu.dst, ()))
        index_of: dict[int, int] = {}
        candidates: list[UpperKey] = []
        if akf:
            for index, app in self.keys.app_candidates(aid, pdu.net_index):
                for key in app.accepted():
                    candidates.append(key)
                    index_of[id(key)] = index
        else:
            owners = dict.fromkeys((pdu.dst, pdu.src))
            candidates = [self.device_keys[each] for each in owners if each in self.device_keys]
        opened = open_access(candidates, upper, envelope, labels)
        opcode, parameters = split_opcode(opened.payload)
        self._accept(pdu)
        self.events.append(
            AccessMessage(
                pdu.src,
                pdu.dst,
                opcode,
                parameters,
                index_of.get(id(opened.key)),
                pdu.net_index,
                pdu.ttl,
                opened.label,
                envelope.seq,
                pdu.iv_index,
            )
        )

    def _accept(self, pdu: NetworkPdu) -> None:
        entry = self.replay.accept(pdu.src, pdu.iv_index, pdu.seq)
        self.journal.add(("replay", pdu.src), entry)

    # ---------------------------------------------------------------- to the air

    def send(self, message: Message) -> int:
        """Queue an access message; see `Outbox.send`."""
        return self.outbox.send(message)

    @property
    def busy(self) -> bool:
        """Say whether segmented messages are under way."""
        return bool(self.outbox.transfers.active)

    def pdus_to_send(self, now_s: float) -> list[SealedPdu]:
        """Give the sealed PDUs that are due; fewer while SEQ waits to be stored.

        None before a beacon told an unknown IV index.
        """
        if self.iv.index == UNKNOWN:
            return []
        for due in self.reassembler.take_acks():
            self.outbox.send_ack(
                due.ack, src=due.src, dst=due.dst, net_index=due.net_index, ttl=due.ttl
            )
        self._begin_update_if_needed(now_s)
        if self.iv.ending:
            self._moved(self.iv.handle_timer(now_s, busy=self.busy), now_s)
        return self.outbox.pdus_to_send(now_s)

    def stored(self, ticket: int) -> None:
        """Go on: a `Store` was written."""
        self.outbox.stored(ticket)

    # ---------------------------------------------------------------- time, IV, keys

    def next_timer_s(self) -> float | None:
        """Say when `handle_timer` and `pdus_to_send` have something to do."""
        timers = (
            self.reassembler.next_timer_s(),
            self.outbox.next_timer_s(),
            self.iv.next_timer_s(),
        )
        return min((each for each in timers if each is not None), default=None)

    def handle_timer(self, now_s: float) -> None:
        """Do what is due."""
        self.reassembler.handle_timer(now_s)
        self._moved(self.iv.handle_timer(now_s, busy=self.busy), now_s)

    def begin_iv_update(self, now_s: float) -> bool:
        """Begin an IV update; False where the 96 hours are not over."""
        return self._moved(self.iv.begin_update(now_s), now_s)

    def end_iv_update(self, now_s: float) -> bool:
        """End an IV update; False where the 96 hours are not over or segments are out."""
        return self._moved(self.iv.end_update(now_s, busy=self.busy), now_s)

    def keys_changed(self) -> None:
        """Note that NetKeys or AppKeys are others now; nothing is sent before they are stored."""
        record = KeysRecord(self.keys.net_records, self.keys.app_records)
        self.journal.add("keys", record, before_sending=True)

    def _begin_update_if_needed(self, now_s: float) -> None:
        if self.sequence.next >= IV_UPDATE_AT and not self.iv.updating and self.keys.primary:
            self._moved(self.iv.begin_update(now_s), now_s)

    def _follow_refresh(self, seen: NetworkState) -> None:
        subnet = self.keys.subnets[seen.net_index]
        key = subnet.new if seen.new_key and subnet.new is not None else subnet.current
        if self.keys.beacon_phase(subnet, key, seen.refresh):
            self.keys_changed()
            changed = NetworkChanged(self.iv.index, self.iv.updating, seen.net_index)
            self.events.append(changed)

    def _moved(self, moved: bool, now_s: float) -> bool:
        """Store and tell an IV change; begin SEQ anew where the index to send with rose."""
        if not moved:
            return False
        self.journal.add("iv", self.iv.record(now_s), before_sending=True)
        self.replay.purge(self.iv.index)
        self.outbox.restart(self.iv.transmit)
        self.events.append(NetworkChanged(self.iv.index, self.iv.updating, PRIMARY))
        return True
