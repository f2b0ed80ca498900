"""What torgo refuses, below the tree of `dunes.errors`."""

from dunes.errors import DataError, DunesError, Exit


class Impossible(DunesError):
    """No plan can fulfil the wish; the message says what stands in the way."""

    code = "impossible"
    exit = Exit.NO


class BadPlan(DataError):
    """A plan file that cannot be read or contradicts itself."""

    code = "bad-plan"


class BadSite(DataError):
    """An environment, layout or measurement file that cannot be used."""

    code = "bad-site"
