"""Mirrors of a text.

The full mirror (`codepoint/1`, published as D1) is the text from its last code point
to its first; applied twice it gives the text back. Code points, not UTF-16 units
and not graphemes: a mirror of text with combining marks looks odd and is right.
"""


def mirror(text: str) -> str:
    """Give the full mirror; it is its own inverse."""
    return text[::-1]


def mirror_words(line: str) -> str:
    """Mirror each word of a line where it stands, spaces folded (as D3 does)."""
    return " ".join(word[::-1] for word in line.split())
