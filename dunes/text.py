"""Text of others (peers, files) is data: bounded and escaped before anybody sees it."""

CONTROL = {code: f"\\x{code:02x}" for code in [*range(32), *range(0x7F, 0xA0)]}
"""The line feed too: a name with one could write a line of its own into a table."""
BIDI = {
    code: f"\\u{code:04x}"
    for code in [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
}


def printable(text: str, limit: int = 500) -> str:
    """Make text from a peer or a file safe for a terminal: escaped, bounded, one line."""
    shown = text if len(text) <= limit else text[: limit - 1] + "…"
    return shown.translate(CONTROL | BIDI)
