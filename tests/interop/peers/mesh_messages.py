"""Read mesh access messages by bluetooth-mesh-messages: JSON hex on stdin, readings on stdout."""

import json
import sys

from bluetooth_mesh.messages import AccessMessage


def plain(value):
    """Make a parsed container plain JSON; private entries are the parser's own."""
    if isinstance(value, dict):
        return {
            str(name): plain(each) for name, each in value.items() if not str(name).startswith("_")
        }
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    return value if isinstance(value, int | float | str) or value is None else str(value)


json.dump(
    [plain(AccessMessage.parse(bytes.fromhex(each))) for each in json.load(sys.stdin)], sys.stdout
)
