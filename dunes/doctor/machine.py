"""The machine: whose scripts are on PATH, does the clock tell the time, is there room."""

import ctypes
import os
import shutil
import struct
import sysconfig
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from dunes.clock import SYSTEM_CLOCK, Clock
from dunes.doctor.check import Given, Result
from dunes.units import show_size

DISTRIBUTION = "dunes-mcp"
FOREIGN = "mcp"
"""The Model Context Protocol SDK: a distribution with a script of the same name as ours."""

FIRST_YEAR = 2025
"""This program is younger than any right clock."""
LAST_YEAR = 2100

TIMEX_BYTES = 512
TIMEX_STATUS_AT = 40
"""Offset of `status` in `struct timex` where a long has 8 bytes (include/uapi/linux/timex.h)."""
STA_UNSYNC = 0x0040
LONG_BYTES = 8

ROOM_BYTES = 100_000_000
"""With less than this the buffer cannot work for long."""


def installed(name: str) -> Distribution | None:
    """Find a distribution of this environment."""
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def scripts(given: Given) -> Result:
    """Say whether each of our names on PATH is ours."""
    ours = installed(DISTRIBUTION)
    if ours is None:
        return Result("warn", "not installed: running from a source folder", "make install")
    names = sorted(p.name for p in ours.entry_points if p.group == "console_scripts")
    folder = Path(sysconfig.get_path("scripts"))
    if (sdk := installed(FOREIGN)) is not None:
        return Result(
            "fail",
            f"distribution {FOREIGN} {sdk.version} shares this environment: both own {folder}/mcp",
            f"pip uninstall {FOREIGN}; pip install --force-reinstall --no-deps {DISTRIBUTION}",
        )
    missing, foreign = [], []
    for name in names:
        found = shutil.which(name, path=given.environ.get("PATH", os.defpath))
        if found is None:
            missing.append(name)
        elif not _same(Path(found), folder / name):
            foreign.append(f"{name} is {found}")
    if foreign:
        return Result(
            "warn",
            f"somebody else's on PATH: {', '.join(foreign)}",
            f"{folder} before the others on PATH, or: dunes mcp …, dunes-mcp …",
        )
    if missing:
        return Result("warn", f"not on PATH: {', '.join(missing)}", f'PATH="{folder}:$PATH"')
    return Result("ok", f"{', '.join(names)} in {folder}")


def _same(found: Path, ours: Path) -> bool:
    """Say whether a path leads to our script, directly, by a link, or as a shim's equal."""
    try:
        return found.samefile(ours) or found.resolve().read_bytes() == ours.read_bytes()
    except OSError:
        return False


def clock(given: Given, *, source: Clock = SYSTEM_CLOCK) -> Result:
    """Say whether the clock is plausible and kept right by somebody."""
    del given
    now = source.now()
    shown = now.strftime("%Y-%m-%d %H:%M:%SZ")
    if not FIRST_YEAR <= now.year <= LAST_YEAR:
        return Result(
            "fail", f"the clock says {shown}: readings would carry that", "timedatectl set-time …"
        )
    synchronised = kernel_synchronised()
    if synchronised is None:
        return Result("warn", f"{shown}; the kernel does not say whether anybody keeps it right")
    if not synchronised:
        return Result(
            "warn", f"{shown}, but nobody keeps it right", "timedatectl set-ntp true, or chrony"
        )
    return Result("ok", f"{shown}, synchronised")


def kernel_synchronised() -> bool | None:
    """Ask the kernel (adjtimex) whether a time service steers its clock; None: not known."""
    if ctypes.sizeof(ctypes.c_long) != LONG_BYTES:
        return None
    timex = ctypes.create_string_buffer(TIMEX_BYTES)  # modes = 0: only read
    try:
        state = ctypes.CDLL(None).adjtimex(timex)
    except (OSError, AttributeError):
        return None
    if state < 0:
        return None
    (status,) = struct.unpack_from("i", timex, TIMEX_STATUS_AT)
    return not status & STA_UNSYNC


def disk(given: Given) -> Result:
    """Say whether the buffer can grow to its quota."""
    settings = given.settings
    place = settings.paths.data
    folder = next(path for path in (place, *place.parents) if path.exists())
    if not os.access(folder, os.W_OK | os.X_OK):
        return Result("fail", f"{folder} cannot be written", f"ls -ld {folder}")
    free = shutil.disk_usage(folder).free
    used = sum(file.stat().st_size for file in place.glob("*") if file.is_file())
    cap: float = settings["buffer.cap"]
    room = f"{show_size(free)} free in {folder}, quota {show_size(cap)}"
    if free < ROOM_BYTES:
        return Result("fail", room, f"free some space: du -xh {folder} | sort -h | tail")
    if free + used < cap:
        return Result("warn", room, f"dunes config set buffer.cap {int((free + used) / 2e6)}MB")
    return Result("ok", f"{room}, {show_size(used)} used")
