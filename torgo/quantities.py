"""Quantities that only torgo's command line has: `8dBm`, `2.15dBi`, `99.99%`, `4/s`."""

import math
import re

from dunes.errors import UsageError

SIGNED = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))\s*([A-Za-z%/]*)")
PER_S = {"/s": 1.0, "hz": 1.0, "/min": 1 / 60, "/m": 1 / 60, "/h": 1 / 3600}


def _read(text: str, what: str, units: str) -> tuple[float, str]:
    found = SIGNED.fullmatch(text.strip())
    if found is None or not math.isfinite(float(found[1])):
        raise UsageError(
            f"{what} {text[:40]!r} is not a number with a unit", hint=f"units: {units}"
        )
    if not found[2]:
        raise UsageError(
            f"{what} {text[:40]!r} has no unit", hint=f"write it with one of: {units}"
        )
    return float(found[1]), found[2].lower()


def _of_unit(text: str, what: str, unit: str, low: float, high: float) -> float:
    value, given = _read(text, what, unit)
    if given != unit.lower():
        raise UsageError(f"{what} {text[:40]!r}: {given!r} is no unit of it", hint=f"unit: {unit}")
    if not low <= value <= high:
        raise UsageError(f"{what} {text[:40]!r} is not between {low:g} and {high:g} {unit}")
    return value


def power_dbm(text: str) -> float:
    """Read a transmit power, e.g. `8dBm`."""
    return _of_unit(text, "power", "dBm", -40, 30)


def threshold_dbm(text: str) -> float:
    """Read a signal threshold, e.g. `-85dBm`; what is positive means dB above sensitivity."""
    return _of_unit(text, "threshold", "dBm", -127, 60)


def gain_dbi(text: str) -> float:
    """Read an antenna gain, e.g. `2.15dBi`."""
    return _of_unit(text, "gain", "dBi", -20, 40)


def margin_db(text: str) -> float:
    """Read a margin, e.g. `10dB`."""
    return _of_unit(text, "margin", "dB", 0, 60)


def share(text: str) -> float:
    """Read a percentage, e.g. `99.99%`, as a share from 0 to 1."""
    return _of_unit(text, "share", "%", 0, 100) / 100


def rate_per_s(text: str) -> float:
    """Read a rate of messages, e.g. `4/s` or `30/min`."""
    value, unit = _read(text, "rate", ", ".join(PER_S))
    if unit not in PER_S:
        raise UsageError(
            f"rate {text[:40]!r}: {unit!r} is no unit of it", hint=f"units: {', '.join(PER_S)}"
        )
    if not 0 < value <= 1e6:  # noqa: PLR2004 - far beyond any mesh
        raise UsageError(f"rate {text[:40]!r} is not above 0, or absurd")
    return value * PER_S[unit]
