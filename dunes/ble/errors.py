"""What can go wrong between an adapter and a node."""

from dunes.errors import Unavailable


class RadioLost(Unavailable):
    """A node is out of reach, or hung up."""

    code = "radio-lost"


class NoRadio(Unavailable):
    """There is no adapter, or nobody lets us use it."""

    code = "no-radio"
