"""What the air can do wrong. Everything here is a `PeerError`, handled inside the cores."""

from dunes.errors import PeerError


class BadPdu(PeerError):
    """Octets that no conforming peer sends: a length, a field, a reserved value."""

    code = "mesh-pdu"


class NotAuthentic(PeerError):
    """An integrity code that no key of ours explains."""

    code = "mesh-mic"


class Replayed(PeerError):
    """A sequence number that was seen before, or a source the full list cannot hold."""

    code = "mesh-replay"
