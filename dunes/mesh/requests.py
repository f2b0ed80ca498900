"""Requests that are answered, tried again, or given up. One at a time per node.

A retry is a new message with a new SEQ; an answer that comes twice counts once.
Bounded: `WAITING_MAX` requests.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from dunes.errors import TryLater
from dunes.mesh.models.answers import answers
from dunes.mesh.outbox import Message as ToSend
from dunes.mesh.upper import UNSEGMENTED_PAYLOAD_BYTES
from dunes.mesh.wire import Message

WAITING_MAX = 8192
TRIES = 3
TIMEOUT_S = 4.0
HOP_S = 0.25
"""More of it for each hop that TTL allows beyond the first ones, there and back."""
SEGMENT_S = 0.3
"""And for each segment."""
HOPS_FREE = 8


@dataclass(frozen=True, slots=True)
class Answered:
    """A request has its answer.

    Attributes:
        id: what `request` gave.
        dst: who was asked.
        request: what was asked.
        answer: what was said.
    """

    id: int
    dst: int
    request: Message
    answer: Message


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Nobody answered a request.

    Attributes:
        id: what `request` gave.
        dst: who was asked.
        request: what was asked.
        tries: how often.
    """

    id: int
    dst: int
    request: Message
    tries: int


RequestEvent = Answered | Unanswered


@dataclass(slots=True)
class Request:
    """One request."""

    id: int
    node: int
    request: Message
    message: ToSend
    tries_left: int
    timeout_s: float
    tries: int = 0
    due_s: float = 0.0


@dataclass(slots=True, repr=False)
class Requests:
    """All requests of a gateway, queued per node."""

    events: deque[RequestEvent] = field(default_factory=deque)
    _queues: dict[int, deque[Request]] = field(default_factory=dict)
    _active: dict[int, Request] = field(default_factory=dict)
    _id: int = 0

    def add(
        self,
        node: int,
        request: Message,
        message: ToSend,
        *,
        tries: int = TRIES,
        timeout_s: float | None = None,
        ttl: int = 0,
    ) -> int:
        """Queue a request.

        Args:
            node: the node's primary address: its requests go one by one.
            request: as a message, to know its answer.
            message: how it is sent.
            tries: at most.
            timeout_s: per try; by default from TTL and size.
            ttl: the TTL it is sent with.

        Raises:
            TryLater: too many wait.
        """
        if sum(map(len, self._queues.values())) >= WAITING_MAX:
            raise TryLater(f"{WAITING_MAX} mesh requests wait")
        self._id += 1
        if timeout_s is None:
            size = len(message.payload)
            segments = size // 12 + 1 if size > UNSEGMENTED_PAYLOAD_BYTES else 0
            timeout_s = TIMEOUT_S + SEGMENT_S * segments + HOP_S * max(ttl - HOPS_FREE, 0)
        queue = self._queues.setdefault(node, deque())
        queue.append(Request(self._id, node, request, message, tries, timeout_s))
        return self._id

    def pump(self, now_s: float, send: Callable[[ToSend], int]) -> None:
        """Send the next request of every node that has none under way."""
        for node in list(self._queues):
            if node in self._active:
                continue
            request = self._queues[node].popleft()
            if not self._queues[node]:
                del self._queues[node]
            self._active[node] = request
            self._try(request, now_s, send)

    def receive(self, src: int, answer: Message) -> bool:
        """Take a message; say whether it answers a request."""
        for node, request in self._active.items():
            if request.message.dst == src and answers(request.request, answer):
                del self._active[node]
                self.events.append(Answered(request.id, src, request.request, answer))
                return True
        return False

    def handle_timer(self, now_s: float, send: Callable[[ToSend], int]) -> None:
        """Try again what was not answered, or give it up."""
        for node, request in list(self._active.items()):
            if request.due_s > now_s:
                continue
            if request.tries_left:
                self._try(request, now_s, send)
            else:
                del self._active[node]
                self.events.append(
                    Unanswered(request.id, request.message.dst, request.request, request.tries)
                )

    def drop(self, node: int) -> None:
        """Forget the requests to a node that is gone."""
        self._queues.pop(node, None)
        self._active.pop(node, None)

    @property
    def idle(self) -> bool:
        """Say whether nothing is asked."""
        return not self._active and not self._queues

    def next_timer_s(self) -> float | None:
        """Say when a try is over."""
        return min((each.due_s for each in self._active.values()), default=None)

    def _try(self, request: Request, now_s: float, send: Callable[[ToSend], int]) -> None:
        request.tries += 1
        request.tries_left -= 1
        request.due_s = now_s + request.timeout_s
        send(request.message)
