"""What a server model is, for a node: messages in; answers, publications, events out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

from dunes.mesh.access import AccessMessage
from dunes.mesh.wire import Message, ModelId


@dataclass(frozen=True, slots=True)
class Raw(Message):
    """An answer that is octets already: a vendor's."""

    payload: bytes

    def encode(self) -> bytes:
        """Give the access payload."""
        return self.payload


class Context(NamedTuple):
    """Where and when a message came.

    Attributes:
        message: as it came.
        now_s: seconds.
    """

    message: AccessMessage
    now_s: float


@dataclass(slots=True)
class Outcome:
    """What a message, or a timer, leads to.

    Attributes:
        replies: to whoever asked.
        publish: to whom the model publishes.
        events: for the host.
    """

    replies: list[Message] = field(default_factory=list)
    publish: list[Message] = field(default_factory=list)
    events: list[object] = field(default_factory=list)


@dataclass(slots=True)
class Server(ABC):
    """The base of server models.

    Attributes:
        model: its identifier.
        messages: what it understands, by opcode.
        subscribes: it may be subscribed to groups.
        device_key: it is spoken to with the device key, not with AppKeys.
    """

    model: ClassVar[ModelId]
    messages: ClassVar[Mapping[int, type[Message]]] = {}
    subscribes: ClassVar[bool] = True
    device_key: ClassVar[bool] = False

    @property
    def identity(self) -> ModelId:
        """Give the model's identifier."""
        return self.model

    def decode(self, opcode: int, parameters: bytes) -> Message | None:
        """Read a message of this model; None where it is not of this model.

        Raises:
            BadPdu: it cannot be read.
        """
        known = self.messages.get(opcode)
        return None if known is None else known.decode(parameters)

    @abstractmethod
    def receive(self, message: Message, context: Context) -> Outcome:
        """Take a message."""

    def publication(self, now_s: float) -> Message | None:
        """Give what is published periodically; None for nothing."""
        del now_s
        return None

    def next_timer_s(self) -> float | None:
        """Say when `handle_timer` has something to do."""
        return None

    def handle_timer(self, now_s: float) -> Outcome:
        """Do what is due."""
        del now_s
        return Outcome()


@dataclass(slots=True)
class Transactions:
    """Which commands were seen: the same number from the same source within 6 s is a repeat.

    Bounded: the last `CAPACITY` sources.
    """

    CAPACITY: ClassVar[int] = 64
    KEPT_S: ClassVar[float] = 6.0
    _seen: dict[tuple[int, int], tuple[int, float]] = field(default_factory=dict)

    def is_new(self, context: Context, tid: int) -> bool:
        """Note a command; False where it is a repeat."""
        key = (context.message.src, context.message.dst)
        last = self._seen.pop(key, None)
        self._seen[key] = (tid, context.now_s)
        if len(self._seen) > self.CAPACITY:
            del self._seen[next(iter(self._seen))]
        return last is None or last[0] != tid or context.now_s - last[1] >= self.KEPT_S
