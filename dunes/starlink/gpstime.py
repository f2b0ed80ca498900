"""GPS time, in which a dish dates its outages.

GPS time started at 1980-01-06 UTC and has no leap seconds; UTC has fallen behind
by those inserted since.
"""

GPS_EPOCH_UNIX_S = 315_964_800
"""1980-01-06T00:00:00Z."""

LEAP_SECONDS = 18
"""Since 2017-01-01 (IERS Bulletin C 52); the next one, if any, is announced half a year ahead."""

NS_PER_S = 1_000_000_000


def unix_from_gps_ns(gps_ns: int) -> float:
    """Turn nanoseconds of GPS time into Unix seconds."""
    return gps_ns / NS_PER_S + GPS_EPOCH_UNIX_S - LEAP_SECONDS


def gps_ns_from_unix(unix_s: float) -> int:
    """Turn Unix seconds into nanoseconds of GPS time."""
    return round((unix_s - GPS_EPOCH_UNIX_S + LEAP_SECONDS) * NS_PER_S)
