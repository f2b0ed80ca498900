"""Health server: faults and attention (Mesh Protocol 1.1, 4.4.3)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from dunes.mesh.models import health
from dunes.mesh.models.server import Context, Outcome, Server
from dunes.mesh.wire import Message, ModelId

FAULTS_MAX = 5
"""So that a status stays unsegmented."""
DIVISOR_MAX = 15


@dataclass(frozen=True, slots=True)
class AttentionAsked:
    """Draw attention for some seconds; 0 ends it."""

    duration_s: int


@dataclass(slots=True)
class HealthServer(Server):
    """The health of one element."""

    model: ClassVar[ModelId] = health.HEALTH_SERVER
    messages: ClassVar[Mapping[int, type[Message]]] = {
        opcode: each
        for opcode, each in health.MESSAGES.items()
        if not each.__name__.endswith("Status")
    }
    company: int = 0xFFFF
    now: list[int] = field(default_factory=list)
    registered: list[int] = field(default_factory=list)
    fast_divisor: int = 0
    attention_until_s: float = 0.0

    def set_faults(self, faults: list[int]) -> None:
        """Say which faults there are."""
        self.now = faults[:FAULTS_MAX]
        new = [each for each in self.now if each not in self.registered]
        self.registered = (self.registered + new)[-FAULTS_MAX:]

    def receive(self, message: Message, context: Context) -> Outcome:
        """Take a message."""
        outcome = self._change(message, context.now_s)
        reply = self._reply(message, context.now_s)
        if reply is not None:
            outcome.replies.append(reply)
        return outcome

    def publication(self, now_s: float) -> Message:
        """Publish the faults there are."""
        del now_s
        return health.CurrentStatus(0, self.company, bytes(self.now))

    def divisor(self) -> int:
        """Say how many times as often to publish while there are faults."""
        return 1 << self.fast_divisor if self.now else 1

    def _change(self, message: Message, now_s: float) -> Outcome:
        match message:
            case health.FaultClear() | health.FaultClearUnacknowledged():
                if message.company == self.company:
                    self.registered = []
            case health.PeriodSet() | health.PeriodSetUnacknowledged():
                if message.divisor <= DIVISOR_MAX:
                    self.fast_divisor = message.divisor
            case health.AttentionSet() | health.AttentionSetUnacknowledged():
                self.attention_until_s = now_s + message.duration_s
                return Outcome(events=[AttentionAsked(message.duration_s)])
        return Outcome()

    def _reply(self, message: Message, now_s: float) -> Message | None:
        match message:
            case health.FaultGet() | health.FaultClear() | health.FaultTest():
                if message.company != self.company:
                    return None
                return health.FaultStatus(0, self.company, bytes(self.registered))
            case health.PeriodGet() | health.PeriodSet():
                return health.PeriodStatus(self.fast_divisor)
            case health.AttentionGet() | health.AttentionSet():
                left_s = max(round(self.attention_until_s - now_s), 0)
                return health.AttentionStatus(min(left_s, 255))
        return None
