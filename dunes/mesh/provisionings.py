"""The gateway's provisionings under way, each over its own link.

Addresses are reserved when a device told its elements, stored with the device key before
the data are sent, and marked provisioned when it said so.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from dunes.errors import LocalError, NotFound
from dunes.mesh.keys import PRIMARY, Phase
from dunes.mesh.links import GattLink, Outgoing
from dunes.mesh.managerstate import KnownNode, Progress
from dunes.mesh.nodebook import NodeBook
from dunes.mesh.provisioning.crypto import Grant
from dunes.mesh.provisioning.events import (
    Agreed,
    CapabilitiesReceived,
    Provisioned,
    ProvisioningEvent,
    ProvisioningFailed,
)
from dunes.mesh.provisioning.oob import Oob
from dunes.mesh.provisioning.pdus import Reason
from dunes.mesh.provisioning.provisioner import Provisioner
from dunes.mesh.sar import MessageType


@dataclass(frozen=True, slots=True)
class ProvisioningSaid:
    """Something about a provisioning that people may have to see, or act on."""

    link: int
    uuid: bytes
    event: ProvisioningEvent


@dataclass(frozen=True, slots=True)
class NodeProvisioned:
    """A device is a node of ours now; end the link, and connect to its proxy service."""

    link: int
    node: KnownNode


@dataclass(frozen=True, slots=True)
class Invitation:
    """How a device shall be provisioned.

    Attributes:
        uuid: the device's, from its advertising.
        oob: how operator and device can meet.
        attention_s: how long it shall show itself.
        device_public_key: X and Y, if had out of band.
        net_index: the subnet to put it into.
    """

    uuid: bytes
    oob: Oob = field(default_factory=Oob)
    attention_s: int = 0
    device_public_key: bytes | None = field(default=None, repr=False)
    net_index: int = PRIMARY


@dataclass(slots=True)
class Job:
    """One provisioning."""

    gatt: GattLink
    invitation: Invitation
    provisioner: Provisioner
    reserved: tuple[int, int] | None = None
    to_store: bool = False


@dataclass(slots=True)
class Provisionings:
    """All of them.

    Attributes:
        book: where nodes are kept.
        rng: a `SystemRandom` outside of tests.
        tell: told what people may have to see.
        jobs: by link.
    """

    book: NodeBook
    rng: Random
    tell: Callable[[ProvisioningSaid | NodeProvisioned], None]
    jobs: dict[int, Job] = field(default_factory=dict)

    def open(self, link: int, room_bytes: int, invitation: Invitation, now_s: float) -> None:
        """Begin to provision the device on a link."""
        if invitation.net_index not in self.book.stack.keys.subnets:
            raise LocalError(f"no NetKey {invitation.net_index}")
        provisioner = Provisioner(
            self.rng, invitation.oob, invitation.attention_s, invitation.device_public_key
        )
        self.jobs[link] = Job(GattLink(link, room_bytes), invitation, provisioner)
        provisioner.start(now_s)

    def close(self, link: int, now_s: float) -> None:
        """Take that a link is gone."""
        if link in self.jobs:
            self.jobs[link].provisioner.link_lost()
            self.digest(now_s)
            self.jobs.pop(link, None)

    def receive(self, link: int, data: bytes, now_s: float) -> None:
        """Take a provisioning PDU of a device."""
        self.jobs[link].provisioner.receive_pdu(data, now_s)

    def values_to_send(self) -> list[Outgoing]:
        """Give the attribute values to write."""
        return [
            out
            for job in self.jobs.values()
            for pdu in job.provisioner.pdus_to_send()
            for out in job.gatt.frame(MessageType.PROVISIONING, pdu)
        ]

    def next_timer_s(self) -> float | None:
        """Say when silence ends one."""
        timers = (job.provisioner.next_timer_s() for job in self.jobs.values())
        return min((each for each in timers if each is not None), default=None)

    def handle_timer(self, now_s: float) -> None:
        """End those whose device is silent."""
        for job in self.jobs.values():
            job.provisioner.handle_timer(now_s)

    def stored(self, now_s: float) -> None:
        """Go on: everything that was to be stored is."""
        for job in self.jobs.values():
            if job.to_store:
                job.to_store = False
                job.provisioner.stored(now_s)

    def digest(self, now_s: float) -> None:
        """Work off what the provisioners have to say."""
        for link, job in list(self.jobs.items()):
            while (event := job.provisioner.next_event()) is not None:
                self._said(link, job, event, now_s)

    def _said(self, link: int, job: Job, event: ProvisioningEvent, now_s: float) -> None:
        match event:
            case CapabilitiesReceived():
                self.tell(ProvisioningSaid(link, job.invitation.uuid, event))
                self._grant(link, job, event.capabilities.elements, now_s)
            case Agreed():
                self._keep(job, event)
            case Provisioned():
                job.reserved = None
                known = self.book.nodes[event.grant.unicast]
                node = replace(known, progress=Progress.PROVISIONED)
                self.book.update(node)
                self.tell(NodeProvisioned(link, node))
            case ProvisioningFailed():
                job.reserved, job.to_store = None, False
                self.tell(ProvisioningSaid(link, job.invitation.uuid, event))
            case _:
                self.tell(ProvisioningSaid(link, job.invitation.uuid, event))

    def _grant(self, link: int, job: Job, elements: int, now_s: float) -> None:
        index, stack = job.invitation.net_index, self.book.stack
        subnet = stack.keys.subnets[index]
        reserved = [each.reserved for each in self.jobs.values() if each.reserved is not None]
        try:
            unicast = self.book.allocate(elements, reserved)
        except NotFound as error:
            reason = Reason.CANNOT_ASSIGN_ADDRESSES
            failed = ProvisioningFailed(reason, error.message, by_peer=False)
            self.tell(ProvisioningSaid(link, job.invitation.uuid, failed))
            del self.jobs[link]
            return
        job.reserved = unicast, elements
        grant = Grant(
            subnet.transmit.key,
            index,
            subnet.phase is Phase.SWITCHING,
            stack.iv.updating,
            stack.iv.index,
            unicast,
        )
        job.provisioner.grant(grant, now_s)

    def _keep(self, job: Job, event: Agreed) -> None:
        """Store device key and addresses before they are sent.

        A device of the same UUID that we know was reset since: its old addresses wait.
        """
        uuid = job.invitation.uuid
        for old in [node for node in self.book.nodes.values() if node.uuid == uuid]:
            self.book.forget(old.unicast)
        grant = event.grant
        node = KnownNode(
            uuid, grant.unicast, event.elements, event.device_key, net_index=grant.net_index
        )
        self.book.update(node, before_sending=True)
        job.to_store = True
