"""Quantities as people type them: `1000m`, `10m`, `435MHz`, `10GB`.

One parser for each quantity, as `m` is metres in a range and minutes in a
duration. A bare number is refused: nobody can tell what it meant.
"""

import math
import re
from collections.abc import Mapping

from dunes.errors import UsageError

DURATION_S = {"ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
LENGTH_M = {"mm": 1e-3, "cm": 1e-2, "m": 1.0, "km": 1e3}
FREQUENCY_HZ = {"hz": 1.0, "khz": 1e3, "mhz": 1e6, "ghz": 1e9}
SIZE_BYTES = {"b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12} | {
    f"{prefix}ib": 1024.0**power for power, prefix in enumerate("kmgt", 1)
}
RATE_BPS = {"bps": 1.0, "kbps": 1e3, "mbps": 1e6, "gbps": 1e9}

QUANTITY = re.compile(
    r"([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?)\s*([a-zµ%]*)", re.IGNORECASE | re.ASCII
)


def parse_quantity(text: str, units: Mapping[str, float], what: str) -> float:
    """Read a non-negative number with its unit, into the SI unit of `units`.

    Raises:
        UsageError: no number, no unit, an unknown unit, or a negative number.
    """
    known = ", ".join(units)
    found = QUANTITY.fullmatch(text.strip())
    if found is None:
        raise UsageError(
            f"{what} {text[:40]!r} is not a number with a unit", hint=f"units: {known}"
        )
    number, unit = float(found[1]), found[2].lower()
    if not unit:
        raise UsageError(f"{what} {text!r} has no unit", hint=f"write it with one of: {known}")
    if unit not in units:
        raise UsageError(
            f"{what} {text[:40]!r}: {found[2]!r} is no unit of it", hint=f"units: {known}"
        )
    if not 0 <= number < math.inf:
        raise UsageError(
            f"{what} {text[:40]!r} is negative or too large", hint="give a number from 0 up"
        )
    return number * units[unit]


def duration_s(text: str) -> float:
    """Read a duration (`10m` is ten minutes) into seconds."""
    return parse_quantity(text, DURATION_S, "duration")


def length_m(text: str) -> float:
    """Read a length (`10m` is ten metres) into metres."""
    return parse_quantity(text, LENGTH_M, "range")


def frequency_hz(text: str) -> float:
    """Read a frequency into hertz."""
    return parse_quantity(text, FREQUENCY_HZ, "frequency")


def size_bytes(text: str) -> int:
    """Read a size (`10GB` decimal, `10GiB` binary) into bytes."""
    return round(parse_quantity(text, SIZE_BYTES, "size"))


def rate_bps(text: str) -> float:
    """Read a bit rate into bits per second."""
    return parse_quantity(text, RATE_BPS, "rate")


def show_size(size: float) -> str:
    """Write a number of bytes for people, e.g. `10 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size) < 1000:  # noqa: PLR2004 - the SI step
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def show_duration(seconds: float) -> str:
    """Write a duration for people: `0.42 s`, `12.3 s`, `10m 5s`, `3h 4m`, `2d 3h`."""
    minute, hour, day = 60, 3600, 86_400
    if seconds < minute:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    if whole < hour:
        return f"{whole // minute}m {whole % minute}s"
    if whole < day:
        return f"{whole // hour}h {whole % hour // minute}m"
    return f"{whole // day}d {whole % day // hour}h"
