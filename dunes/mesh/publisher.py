"""What a node says of itself: publications, their repeats, heartbeats.

Source: Mesh Protocol 1.1, 3.7.6.1 (publishing), 3.6.7.2 (heartbeats).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dunes.mesh.control import ControlOpcode, Feature, Heartbeat
from dunes.mesh.keys import KEY_INDEX_MAX
from dunes.mesh.models.config import TTL_DEFAULT
from dunes.mesh.models.config_server import COUNT_FOREVER, ConfigServer
from dunes.mesh.models.health_server import HealthServer
from dunes.mesh.models.node_config import ON, Publication
from dunes.mesh.models.sensor_server import SensorServer
from dunes.mesh.models.server import Server
from dunes.mesh.outbox import Message as ToSend
from dunes.mesh.outbox import Outbox
from dunes.mesh.publishing import ModelKey, Schedule


@dataclass(slots=True)
class Publisher:
    """The publishing half of a node.

    Attributes:
        config: what is configured.
        elements: server models by element.
        send: queues a message; False where it cannot be sent.
        schedule: what is due when.
    """

    config: ConfigServer
    elements: Sequence[Sequence[Server]]
    send: Callable[[ToSend], bool]
    schedule: Schedule = field(default_factory=Schedule)
    heartbeat_due_s: float | None = None
    _heartbeats_left: int = 0

    def follow(self, now_s: float) -> None:
        """Take what is configured now."""
        self.schedule.follow(self._publications(), now_s)
        beat = self.config.config.heartbeat
        self._heartbeats_left = 1 << beat.count_log - 1 if beat.count_log else 0
        if beat.count_log == COUNT_FOREVER:
            self._heartbeats_left = -1
        on = beat.destination and beat.period_log and self._heartbeats_left
        self.heartbeat_due_s = now_s if on else None

    def _publications(self) -> dict[ModelKey, Publication]:
        return {
            ModelKey(each.element, each.model): each.publication
            for each in self.config.config.models
            if each.publication is not None
        }

    def next_timer_s(self) -> float | None:
        """Say when something is due."""
        timers = (self.schedule.next_timer_s(), self.heartbeat_due_s)
        return min((each for each in timers if each is not None), default=None)

    def publish_due(self, now_s: float) -> None:
        """Publish what is due by its period, and repeat what is to be repeated."""
        servers = {
            ModelKey(element, server.identity): server
            for element, each in enumerate(self.elements)
            for server in each
        }
        divisors = {
            key: server.divisor()
            for key, server in servers.items()
            if isinstance(server, SensorServer | HealthServer)
        }
        for key in self.schedule.take_due(now_s, divisors):
            message = servers[key].publication(now_s) if key in servers else None
            if message is not None:
                self.publish(key, message.encode(), now_s)
        for repeat in self.schedule.take_repeats(now_s):
            self.publish(repeat.key, repeat.payload, now_s, repeat=False)

    def publish(self, key: ModelKey, payload: bytes, now_s: float, *, repeat: bool = True) -> bool:
        """Send an access payload to whom a model publishes; False where it does not."""
        publication = self.config.config.of(*key).publication
        if publication is None:
            return False
        index = publication.app & KEY_INDEX_MAX
        if index not in self.config.keys.apps:
            return False
        message = ToSend(
            publication.address,
            payload,
            index,
            src=self.config.unicast + key.element,
            ttl=None if publication.ttl == TTL_DEFAULT else publication.ttl,
            label=publication.label,
        )
        sent = self.send(message)
        if sent and repeat:
            self.schedule.published(key, publication, payload, now_s)
        return sent

    def heartbeat(self, outbox: Outbox, now_s: float) -> None:
        """Send a heartbeat if one is due."""
        if self.heartbeat_due_s is None or now_s < self.heartbeat_due_s:
            return
        config = self.config.config
        beat = config.heartbeat
        in_use = Feature.RELAY * (config.relay == ON) | Feature.PROXY * (config.gatt_proxy == ON)
        outbox.send_control(
            ControlOpcode.HEARTBEAT,
            Heartbeat(beat.ttl, in_use).encode(),
            dst=beat.destination,
            net_index=beat.net_index,
            ttl=beat.ttl,
        )
        if self._heartbeats_left > 0:
            self._heartbeats_left -= 1
        self.heartbeat_due_s = now_s + float(1 << beat.period_log - 1)
        if not self._heartbeats_left:
            self.heartbeat_due_s = None
