"""What nodes are called: by themselves where they can, else by their address."""

import re
from collections.abc import Container

from dunes.model import NAME

NAME_MAX = 64
NOT_IN_NAMES = re.compile(r"[^a-z0-9._-]+")


def choose_name(heard: str | None, unicast: int, taken: Container[str]) -> str:
    """Choose a node's name, one that a reading's device may have.

    Args:
        heard: what the device called itself; untrusted.
        unicast: its primary address.
        taken: names that others have.
    """
    own = NOT_IN_NAMES.sub("-", (heard or "").lower()[:NAME_MAX]).strip("._-")
    if NAME.fullmatch(own) and own not in taken:
        return own
    by_address = f"node-{unicast:04x}"
    return by_address if by_address not in taken else f"node-{unicast:04x}-mesh"
