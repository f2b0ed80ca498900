"""What can go wrong between an adapter and a node."""

from dunes.errors import Denied, PeerError, Unavailable


class RadioLost(Unavailable):
    """A node is out of reach, or hung up."""

    code = "radio-lost"


class NotHeard(RadioLost):
    """A node did not advertise while we listened for it; who tries again may wait longer."""


class NoRadio(Unavailable):
    """There is no adapter, or it cannot be used as things are."""

    code = "no-radio"


class RadioDenied(Denied):
    """There is an adapter, and this user may not use it."""

    code = "radio-denied"


class ServiceMissing(PeerError):
    """A node is there without the service that was asked for, or with half of it."""

    code = "no-mesh-service"
