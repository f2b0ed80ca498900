"""What both provisioning roles tell their host."""

from dataclasses import dataclass, field

from dunes.mesh.provisioning.crypto import Grant
from dunes.mesh.provisioning.pdus import Capabilities, Reason


@dataclass(frozen=True, slots=True)
class CapabilitiesReceived:
    """The device said what it can do; `elements` addresses are needed."""

    capabilities: Capabilities


@dataclass(frozen=True, slots=True)
class TypeIn:
    """Somebody must type in a value, then call `provide`.

    Attributes:
        action: how the other side shows it: `blink`, `numeric`, …
        size: digits or letters at most.
        alphanumeric: letters too.
    """

    action: str
    size: int
    alphanumeric: bool


@dataclass(frozen=True, slots=True)
class Show:
    """Show this value until the other side has it.

    Attributes:
        action: how: `push` (so many times), `numeric`, …
        value: what to show.
    """

    action: str
    value: str


@dataclass(frozen=True, slots=True)
class Attention:
    """Draw attention for some seconds."""

    duration_s: int


@dataclass(frozen=True, slots=True)
class Agreed:
    """Both sides know each other; store this before the data is sent, then call `stored`.

    Attributes:
        device_key: 16 bytes.
        grant: what the device gets.
        elements: its addresses are `grant.unicast` and so many minus one more.
    """

    device_key: bytes = field(repr=False)
    grant: Grant
    elements: int


@dataclass(frozen=True, slots=True)
class Provisioned:
    """The device is a node now; end the link."""

    device_key: bytes = field(repr=False)
    grant: Grant


@dataclass(frozen=True, slots=True)
class ProvisioningFailed:
    """It came to nothing; end the link.

    Attributes:
        reason: the device's, or ours in the same words.
        message: for people.
        by_peer: the other side said so.
    """

    reason: Reason
    message: str
    by_peer: bool


ProvisioningEvent = (
    CapabilitiesReceived | TypeIn | Show | Attention | Agreed | Provisioned | ProvisioningFailed
)
