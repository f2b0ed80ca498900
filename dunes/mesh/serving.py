"""Server models at work: what a message, or a timer of theirs, leads to."""

from collections.abc import Callable
from dataclasses import dataclass

from dunes.mesh.access import AccessMessage
from dunes.mesh.dispatch import Delivery, Dispatcher
from dunes.mesh.models.config_server import ConfigServer
from dunes.mesh.models.server import Context, Outcome, Server
from dunes.mesh.outbox import Message as ToSend
from dunes.mesh.publisher import Publisher
from dunes.mesh.publishing import ModelKey


@dataclass(frozen=True, slots=True)
class ModelEvent:
    """Something a server model tells its host."""

    element: int
    server: Server
    event: object


@dataclass(slots=True)
class Serving:
    """The serving half of a node.

    Attributes:
        config: what is configured.
        dispatcher: says which model takes a message.
        publisher: publishes for them.
        send: queues a message.
        tell: told what is for the host.
    """

    config: ConfigServer
    dispatcher: Dispatcher
    publisher: Publisher
    send: Callable[[ToSend], bool]
    tell: Callable[[ModelEvent], None]

    def receive(self, message: AccessMessage, now_s: float) -> bool:
        """Give a message to the models that take it; False where none does.

        Raises:
            BadPdu: a model understands the opcode, not the parameters; none gets it then.
        """
        config, unicast = self.config.config, self.config.unicast
        deliveries = list(self.dispatcher.deliveries(message, config, unicast))
        for delivery in deliveries:
            outcome = delivery.server.receive(delivery.message, Context(message, now_s))
            self._reply(message, delivery, outcome)
            self._outcome(delivery.element, delivery.server, outcome, now_s)
        return bool(deliveries)

    def next_timer_s(self) -> float | None:
        """Say when a model has something to do."""
        timers = (
            server.next_timer_s() for servers in self.dispatcher.elements for server in servers
        )
        return min((each for each in timers if each is not None), default=None)

    def handle_timer(self, now_s: float) -> None:
        """Let the models do what is due."""
        for element, servers in enumerate(self.dispatcher.elements):
            for server in servers:
                due_s = server.next_timer_s()
                if due_s is not None and due_s <= now_s:
                    self._outcome(element, server, server.handle_timer(now_s), now_s)

    def _reply(self, message: AccessMessage, delivery: Delivery, outcome: Outcome) -> None:
        for reply in outcome.replies:
            self.send(
                ToSend(
                    message.src,
                    reply.encode(),
                    message.app_index,
                    src=self.config.unicast + delivery.element,
                    net_index=message.net_index,
                    ttl=None if message.ttl else 0,
                )
            )

    def _outcome(self, element: int, server: Server, outcome: Outcome, now_s: float) -> None:
        key = ModelKey(element, server.identity)
        for message in outcome.publish:
            self.publisher.publish(key, message.encode(), now_s)
        for event in outcome.events:
            self.tell(ModelEvent(element, server, event))
