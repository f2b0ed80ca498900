"""A device that is part of no network yet: who links up may provision it.

Keys and address are stored when both sides agreed on them; then the device says that it is
complete, and is a node. What comes to nothing before that is forgotten again.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random

from dunes.mesh.nodestate import Description, Erased, granted
from dunes.mesh.provisioning.device import Device
from dunes.mesh.provisioning.events import Agreed, ProvisioningEvent, ProvisioningFailed
from dunes.mesh.state import Journal


@dataclass(slots=True)
class Newcomer:
    """The provisionings of one device, each over its own link.

    Attributes:
        description: what it is.
        rng: a `SystemRandom` outside of tests.
        journal: what must be stored is noted there.
        devices: the device's role in each, by link.
    """

    description: Description
    rng: Random
    journal: Journal
    devices: dict[int, Device] = field(default_factory=dict)
    _agreed: int | None = None

    def open(self, link: int, now_s: float) -> None:
        """Let whoever linked up provision us."""
        elements = len(self.description.elements)
        capabilities = replace(self.description.capabilities, elements=elements)
        device = Device(self.rng, capabilities, self.description.static_oob)
        device.link_opened(now_s)
        self.devices[link] = device

    def close(self, link: int) -> None:
        """Take that a link is gone."""
        if self.devices.pop(link, None):
            self._forget(link)

    def receive(self, link: int, data: bytes, now_s: float) -> None:
        """Take a provisioning PDU; nothing where the link is not for that."""
        if link in self.devices:
            self.devices[link].receive_pdu(data, now_s)

    def pdus_to_send(self) -> Iterator[tuple[int, bytes]]:
        """Give the PDUs to send, once, each with its link."""
        for link, device in self.devices.items():
            for pdu in device.pdus_to_send():
                yield link, pdu

    def next_timer_s(self) -> float | None:
        """Say when silence ends one."""
        timers = (device.next_timer_s() for device in self.devices.values())
        return min((each for each in timers if each is not None), default=None)

    def handle_timer(self, now_s: float) -> None:
        """End those whose provisioner is silent."""
        for device in self.devices.values():
            device.handle_timer(now_s)

    def stored(self) -> None:
        """Go on: something was stored; perhaps all that was agreed on."""
        if self._agreed is not None and not self.journal.blocked:
            agreed, self._agreed = self._agreed, None
            self.devices[agreed].stored()

    def take_events(self) -> Iterator[tuple[int, ProvisioningEvent]]:
        """Give what there is to say, each with its link; what was agreed on is journalled."""
        for link, device in list(self.devices.items()):
            while (event := device.next_event()) is not None:
                if isinstance(event, Agreed):
                    self._keep(link, event)
                    continue
                if isinstance(event, ProvisioningFailed):
                    self._forget(link)
                yield link, event

    def _keep(self, link: int, event: Agreed) -> None:
        self._agreed = link
        state = granted(event.grant, event.device_key, self.description.config)
        self.journal.add("identity", state.identity, before_sending=True)
        self.journal.add("keys", state.stack.keys, before_sending=True)
        self.journal.add("iv", state.stack.iv, before_sending=True)
        self.journal.add("config", state.config, before_sending=True)

    def _forget(self, link: int) -> None:
        """Take back what was to be stored, where it came to nothing before it was."""
        if self._agreed == link:
            self._agreed = None
            self.journal.add("erased", Erased(), before_sending=True)
