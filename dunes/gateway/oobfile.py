"""Static OOB values of devices, as a maker's label or list gives them: `UUID VALUE` a line.

    8ad0…01  0123456789abcdef0123456789abcdef       hexadecimal, as printed
    *        text:moonbase                          for every device without a line

Blank lines and what follows a `#` at a line's begin count for nothing.
"""

from collections.abc import Mapping

from dunes.errors import DataError

UUID_DIGITS = 32
ANY = "*"
TEXT = "text:"
VALUE_BYTES_MAX = 64


def read_oob(text: str, *, where: str) -> Mapping[str, bytes]:
    """Read values by UUID (hexadecimal digits, or `*`).

    Raises:
        DataError: a line that is none; the value is not shown.
    """
    found: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        uuid = words[0].lower().replace("-", "")
        value = _value(words[1]) if len(words) == 2 else None  # noqa: PLR2004 - UUID and value
        known = uuid == ANY or (len(uuid) == UUID_DIGITS and _hex(uuid) is not None)
        if not known or not value or len(value) > VALUE_BYTES_MAX:
            raise DataError(
                f"{where}: line {number} is not a UUID and a value",
                hint="UUID HEX, UUID text:WORDS, or * for every other device",
            )
        found[uuid] = value
    return found


def value_for(values: Mapping[str, bytes], uuid: bytes) -> bytes | None:
    """Give the value of a device; None if there is none."""
    return values.get(uuid.hex(), values.get(ANY))


def _value(text: str) -> bytes | None:
    return text[len(TEXT) :].encode() if text.startswith(TEXT) else _hex(text)


def _hex(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None
