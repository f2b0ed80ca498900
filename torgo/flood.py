"""The flooding simulator: a managed flood of Bluetooth Mesh, packet by packet.

What it models: advertising events of three packets, one on each advertising channel;
scanners that listen to one channel at a time, in turn, from a random phase; half
duplex; capture of the stronger of overlapping packets; noise; advertising sets and a
queue; the delays of host and advertiser; the message cache; TTL; nodes that are down.
All times are whole microseconds. The same seed gives the same run.

What it leaves out: clock drift, connections, segmentation (a segment is a flood of
its own) and other users of the band, but for an independent packet loss.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random
from typing import NamedTuple

from torgo.bits import mask_of, members

PACKET_US = 376
"""47 bytes at 1 Mb/s: an advertising packet with 31 bytes of data."""
PITCH_US = 526
"""From one packet of an event to the next, on the next channel."""
EVENT_US = 2 * PITCH_US + PACKET_US
TURN_US = 100
"""From sending to receiving."""
CHANNELS = 3


@dataclass(frozen=True, slots=True)
class Stack:
    """How the nodes' software behaves.

    Attributes:
        network_transmissions: how often the source sends a message.
        relay_transmissions: how often a relay does.
        interval_us: between the events of one message.
        adv_delay_us: most of the random delay of each event (Core 4.4.2.2.1).
        first_delay_us: most of the random delay before the first event.
        host_delay_us: from a packet's end until the host has queued what follows.
        scan_us: scan interval and window, after which the channel changes.
        adv_sets: messages that a node sends interleaved.
        queue: messages that wait for a free set.
        cache: messages that a node remembers.
        sir_db: a packet survives others that are weaker in sum by so much.
        loss: share of packets that other users of the band destroy.
    """

    network_transmissions: int = 3
    relay_transmissions: int = 3
    interval_us: int = 20_000
    adv_delay_us: int = 10_000
    first_delay_us: int = 10_000
    host_delay_us: int = 2_500
    scan_us: int = 30_000
    adv_sets: int = 3
    queue: int = 16
    cache: int = 32
    sir_db: float = 12.0
    loss: float = 0.0


class Ear(NamedTuple):
    """One direction of a link.

    Attributes:
        power_mw: received.
        chance: that a packet survives noise alone.
    """

    power_mw: float
    chance: float


class Powers(dict[int, float]):
    """Received power in mW by receiver; 0 for those too far away to matter."""

    def __missing__(self, _: int) -> float:
        """Give silence."""
        return 0.0


@dataclass(frozen=True, slots=True)
class Ether:
    """Who hears whom, and who disturbs whom: a disturber need not be understood.

    Attributes:
        ears: for each node, those who may understand it.
        powers: for each node, what it makes others receive, far below sensitivity too.
    """

    ears: Sequence[Mapping[int, Ear]]
    powers: Sequence[Mapping[int, float] | Sequence[float]]


@dataclass(slots=True)
class Message:
    """One message and what became of it.

    Attributes:
        source: node that sends it.
        targets: nodes of which one has to get it.
        at_us: when it is queued.
        ttl: 2 to 127, or 0 for neighbours only.
        answered: whether the target answers it.
        label: of its kind, for statistics.
        first_us: when the first target got it; -1 if none did.
        by: which target that was; -1 if none.
        answer: the answer, once it is on its way.
    """

    source: int
    targets: frozenset[int]
    at_us: int
    ttl: int
    answered: bool = False
    label: str = "telemetry"
    first_us: int = -1
    by: int = -1
    answer: "Message | None" = None

    @property
    def latency_us(self) -> int:
        """How long it took; only for one that arrived."""
        return self.first_us - self.at_us


@dataclass(slots=True)
class Tally:
    """What each node did.

    Attributes:
        events: advertising events sent.
        relayed: messages passed on.
        dropped: messages that found the queue full.
        evicted: messages forgotten while they were still on the air.
        now_us: the simulated time.
    """

    events: list[int]
    relayed: list[int]
    dropped: int = 0
    evicted: int = 0
    now_us: int = 0


class _Item:
    """A message in one node's hands."""

    __slots__ = ("key", "left", "message", "start", "ttl")

    def __init__(self, key: int, message: Message, ttl: int, left: int) -> None:
        self.key = key
        self.message = message
        self.ttl = ttl
        self.left = left
        self.start = 0


@dataclass(slots=True)
class Flood:
    """A network on which floods run.

    Args:
        ether: who hears and who disturbs whom.
        relays: truthy for nodes that relay.
        stack: how the nodes behave.
        rng: the dice.
        down: for each node that fails, the spans (from_us, until_us) in which it is off.
    """

    ether: Ether
    relays: Sequence[int]
    stack: Stack
    rng: Random
    down: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    tally: Tally = field(init=False)

    def __post_init__(self) -> None:
        """Begin with nothing sent."""
        size = len(self.ether.ears)
        self.tally = Tally([0] * size, [0] * size)

    def run(self, messages: Iterable[Message]) -> Iterator[Message]:  # noqa: C901, PLR0912, PLR0915 - the hot loop: calls would double its time
        """Flood the messages; yield each once it is certain what became of it.

        Args:
            messages: in order of their time; taken one by one as time comes to them.
        """
        ears, powers, relays = self.ether.ears, self.ether.powers, self.relays
        stack, rng = self.stack, self.rng
        size = len(ears)
        tally = self.tally
        events, relayed = tally.events, tally.relayed
        random = rng.random
        scan = stack.scan_us
        host_us = stack.host_delay_us
        interval_us, adv_us, first_us = stack.interval_us, stack.adv_delay_us, stack.first_delay_us
        sir = 10 ** (stack.sir_db / 10)
        repeats = stack.relay_transmissions
        loss, guard = stack.loss, EVENT_US + TURN_US
        phase = [rng.randrange(CHANNELS * scan) for _ in range(size)]
        reach = [mask_of(row) for row in ears]
        sparse = [mask_of(row) if isinstance(row, Powers) else -1 for row in powers]
        caches: list[deque[int]] = [deque() for _ in range(size)]
        waiting: list[deque[tuple[int, _Item]]] = [deque() for _ in range(size)]
        busy = [0] * size  # advertising sets in use
        own: list[deque[int]] = [deque(maxlen=6) for _ in range(size)]  # starts of own events
        air: dict[int, list[tuple[int, int]]] = {}  # packet-long slots -> (start, node)
        have: dict[int, int] = {}  # who has which message in its cache, as bit sets
        alive: dict[int, int] = {}  # copies of each message that are still to be sent
        heap: list[tuple[int, int, int, _Item | Message]] = []
        ticket = 0
        key = 0
        down = self.down
        source = iter(messages)
        upcoming = next(source, None)

        def is_down(node: int, now: int) -> bool:
            return any(since <= now < until for since, until in down.get(node, ()))

        def launch(node: int, item: _Item, start: int) -> None:
            nonlocal ticket
            mine = own[node]
            moved = True
            while moved:  # the radio does one thing at a time
                moved = False
                for other in mine:
                    if -guard < other - start < guard:
                        start = other + guard
                        moved = True
            mine.append(start)
            air.setdefault(start // PACKET_US, []).append((start, node))
            item.start = start
            ticket += 1
            heappush(heap, (start + EVENT_US, ticket, node, item))

        def enqueue(node: int, item: _Item, now: int) -> None:
            if busy[node] < stack.adv_sets:
                busy[node] += 1
                alive[item.key] += 1
                launch(node, item, now + int(random() * first_us))
            elif len(waiting[node]) < stack.queue:
                alive[item.key] += 1
                waiting[node].append((now, item))
            else:
                tally.dropped += 1

        def remember(node: int, of: int) -> None:
            cache = caches[node]
            cache.append(of)
            have[of] |= 1 << node
            if len(cache) > stack.cache:
                old = cache.popleft()
                if old in have:
                    have[old] &= ~(1 << node)
                    tally.evicted += 1

        while heap or upcoming is not None:
            if upcoming is not None and (not heap or upcoming.at_us <= heap[0][0]):
                message = upcoming
                upcoming = next(source, None)
                now = message.at_us
                node = message.source
                if is_down(node, now):
                    yield message
                    continue
                item = None
            else:
                now, _, node, thing = heappop(heap)
                if isinstance(thing, Message):
                    message, item = thing, None
                else:
                    item = thing
            tally.now_us = now
            if item is None:  # a message is born
                key += 1
                have[key] = 0
                alive[key] = 0
                remember(node, key)
                count = stack.network_transmissions
                enqueue(node, _Item(key, message, message.ttl, count), now)
                if not alive[key]:
                    del alive[key], have[key]
                    yield message
                continue

            of, message, start = item.key, item.message, item.start
            if not (down and is_down(node, start)):
                events[node] += 1
                missing = reach[node] & ~have[of]
                if missing:
                    slot = start // PACKET_US
                    others = [
                        powers[who]
                        for near in (slot - 1, slot, slot + 1)
                        if near in air
                        for at, who in air[near]
                        if -PACKET_US < at - start < PACKET_US
                        and who != node
                        and sparse[who] & missing
                    ]
                    audience = ears[node]
                    for j in members(missing):
                        at = start + phase[j]
                        window = at // scan
                        channel = window % CHANNELS
                        at += channel * PITCH_US
                        if at // scan != window or (at + PACKET_US) // scan != window:
                            window += 1  # the channel changes meanwhile: perhaps a later packet
                            channel = window % CHANNELS
                            at = start + phase[j] + channel * PITCH_US
                            if at // scan != window or (at + PACKET_US) // scan != window:
                                continue
                        begin = start + channel * PITCH_US
                        finish = begin + PACKET_US
                        for sent in own[j]:
                            if sent - TURN_US < finish and sent + guard > begin:
                                break
                        else:
                            sent = -1
                        if sent >= 0:
                            continue
                        ear = audience[j]
                        if others:
                            noise = 0.0
                            for power in others:
                                noise += power[j]
                            if ear.power_mw < sir * noise:
                                continue
                        if random() >= ear.chance or (loss and random() < loss):
                            continue
                        if down and is_down(j, finish):
                            continue
                        remember(j, of)
                        if j in message.targets and message.first_us < 0:
                            message.first_us = finish
                            message.by = j
                            if message.answered:
                                message.answer = Message(
                                    j, frozenset((message.source,)), finish + host_us, message.ttl
                                )
                                ticket += 1
                                heappush(heap, (finish + host_us, ticket, j, message.answer))
                        if item.ttl > 1 and relays[j]:
                            relayed[j] += 1
                            passed = _Item(of, message, item.ttl - 1, repeats)
                            enqueue(j, passed, finish + host_us)
            item.left -= 1
            if item.left:
                launch(node, item, start + interval_us + int(random() * adv_us))
                continue
            alive[of] -= 1
            if waiting[node]:
                since, follower = waiting[node].popleft()
                launch(node, follower, max(now, since) + int(random() * first_us))
            else:
                busy[node] -= 1
            if not alive[of]:
                del alive[of], have[of]
                yield message
                if len(air) > 4 * size + 4096:
                    old = now // PACKET_US - 400
                    for slot in [slot for slot in air if slot < old]:
                        del air[slot]
