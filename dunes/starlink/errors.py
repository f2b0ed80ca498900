"""What can go wrong between us and a dish or router, and why.

::

    StarlinkError
    ├── DeviceSilent (Unavailable, 69)   refused, timeout, no route, busy
    ├── NotStarlink  (PeerError, 76)     something else lives at this address
    ├── BadAnswer    (PeerError, 76)     it broke the protocol
    ├── NotOffered   (Unavailable, 69)   this firmware has no such request
    └── Locked       (Denied, 77)        the firmware refuses this request
"""

from enum import Enum

from dunes.errors import Denied, DunesError, Exit, PeerError, Unavailable


class Reason(Enum):
    """Why a request got no good answer; the value is its word in JSON output."""

    REFUSED = "refused"
    """The host is there, nothing listens on the port."""
    TIMEOUT = "timeout"
    """No answer in time: powered off, filtered, or the wrong address."""
    NO_ROUTE = "no-route"
    """This machine knows no way to the address."""
    UNAVAILABLE = "unavailable"
    """The device itself says that it cannot answer now; it may be starting."""
    NOT_STARLINK = "not-starlink"
    """Something answers that is not a Starlink device."""
    DENIED = "denied"
    """The firmware locks this request."""
    UNIMPLEMENTED = "unimplemented"
    """This firmware does not know the request."""
    PROTOCOL = "protocol"
    """An answer that breaks the protocol, or that this version cannot read."""


class StarlinkError(DunesError):
    """A request that got no good answer.

    Args:
        reason: why.
        detail: what happened, for people; may hold text of the peer, already bounded.
        endpoint: who was asked, e.g. `192.168.100.1:9200 (gRPC)`; empty until it is known.
    """

    hint_text: str | None = None

    def __init__(self, reason: Reason, detail: str, *, endpoint: str = "") -> None:
        message = f"{endpoint}: {detail}" if endpoint else detail
        super().__init__(message, hint=self.hint_text, code=f"starlink-{reason.value}")
        self.reason = reason
        self.detail = detail
        self.endpoint = endpoint


class DeviceSilent(StarlinkError, Unavailable):
    """A dish or router that cannot be reached or does not answer."""

    exit = Exit.UNAVAILABLE
    hint_text = "dunes init-starlink --dry-run tries every endpoint and says how each failed"


class NotStarlink(StarlinkError, PeerError):
    """Something at the address that is not a Starlink device, or that blocks us."""

    exit = Exit.PROTOCOL
    hint_text = "check the address: dunes init-starlink --router-ip ADDRESS --dry-run"


class BadAnswer(StarlinkError, PeerError):
    """An answer that breaks the protocol, or that our descriptors cannot read."""

    exit = Exit.PROTOCOL
    hint_text = (
        "newer firmware? export its descriptors with grpcurl -protoset-out and set DUNES_PROTOSET"
    )


class NotOffered(StarlinkError, Unavailable):
    """A request that this firmware does not implement."""

    exit = Exit.UNAVAILABLE
    hint_text = "the device's firmware may be older or newer than this request"


class Locked(StarlinkError, Denied):
    """A request that the firmware locks on the local network."""

    exit = Exit.NOPERM
    hint_text = "use the Starlink app"


KINDS: dict[Reason, type[StarlinkError]] = {
    Reason.REFUSED: DeviceSilent,
    Reason.TIMEOUT: DeviceSilent,
    Reason.NO_ROUTE: DeviceSilent,
    Reason.UNAVAILABLE: DeviceSilent,
    Reason.NOT_STARLINK: NotStarlink,
    Reason.DENIED: Locked,
    Reason.UNIMPLEMENTED: NotOffered,
    Reason.PROTOCOL: BadAnswer,
}


def failure(reason: Reason, detail: str, *, endpoint: str = "") -> StarlinkError:
    """Make the error that belongs to `reason`."""
    return KINDS[reason](reason, detail, endpoint=endpoint)


def peer_text(text: str, limit: int = 200) -> str:
    """Bound a peer's text and replace what a terminal or a reader could be fooled with."""
    return "".join(c if c.isprintable() else "?" for c in text[:limit])
