"""The site's process: takes the lock, detaches, runs the site, cleans up.

Started by `dunes.sim.lifecycle`; imports little until it has detached.
"""

import argparse
import contextlib
import fcntl
import json
import os
import signal
import sys
import time
import traceback
from dataclasses import asdict
from pathlib import Path

from dunes.errors import DunesError, Exit, TryLater
from dunes.paths import write_atomic
from dunes.site import Site

LOCK_WAIT_S = 0.5
"""Whoever asks whether the site is up holds the lock for a moment; that is waited out."""


def take_lock(folder: Path) -> int:
    """Take the lock that says that the site is up; the kernel drops it with the process.

    The file holds our process number, for whoever cannot read the description.

    Returns:
        The descriptor that holds it.

    Raises:
        TryLater: another process holds it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder / "site.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline_s = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline_s:
                os.close(lock)
                raise TryLater(
                    "another process is starting or running the site",
                    hint="dunes sim status",
                    code="site-busy",
                ) from None
            time.sleep(0.02)
        else:
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
            return lock


def run_site(
    folder: Path, name: str, speed: float, ready_fd: int | None = None, nodes: int = 0
) -> None:
    """Run the site in this process until SIGTERM, SIGINT or a request ends it.

    Args:
        folder: where the lock, the description and the site's files are.
        name: of the site.
        speed: site seconds in one of ours.
        ready_fd: gets the line `ready` once all servers answer; closed then.
        nodes: in its mesh; 0: as the site's definition says.
    """
    lock = take_lock(folder)
    description = folder / "site.json"
    try:
        description.unlink(missing_ok=True)  # of a site that was killed
        import asyncio

        asyncio.run(_run(folder, name, speed, description, ready_fd, nodes))
    finally:
        description.unlink(missing_ok=True)
        os.close(lock)


async def _run(
    folder: Path,
    name: str,
    speed: float,
    description: Path,
    ready_fd: int | None,
    nodes: int,
) -> None:
    import asyncio

    from dunes.sim.definition import load_definition
    from dunes.sim.site import SimulatedSite

    definition = load_definition(name)
    site = SimulatedSite(definition, folder / name, speed=speed, on_event=log, nodes=nodes)

    def describe(about: Site) -> None:
        first = not description.exists()
        write_atomic(description, json.dumps(asdict(about)).encode())
        log(f"site {name}, process {os.getpid()}, is up at speed {about.speed:g}")
        if first and ready_fd is not None:
            os.write(ready_fd, b"ready\n")
            os.close(ready_fd)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, site.stop)
    await site.run(describe)
    log(f"site {name} has ended")


def log(text: str) -> None:
    """Write a line to the log (stderr)."""
    from dunes.clock import SYSTEM_CLOCK, rfc3339

    sys.stderr.write(f"{rfc3339(SYSTEM_CLOCK.unix_us())} {text}\n")
    sys.stderr.flush()


def main(argv: list[str] | None = None) -> int:
    """Detach from whoever started us, and run the site."""
    parser = argparse.ArgumentParser(prog="python -m dunes.sim.daemon")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--site", required=True)
    parser.add_argument("--speed", type=float, required=True)
    parser.add_argument("--ready-fd", type=int, required=True)
    parser.add_argument("--nodes", type=int, default=0)
    given = parser.parse_args(argv)
    if os.fork():
        # our parent waits for this process only; the site belongs to init from here on
        os._exit(0)
    os.set_inheritable(given.ready_fd, False)
    try:
        run_site(given.folder, given.site, given.speed, given.ready_fd, given.nodes)
    except DunesError as e:
        log(f"error: {e.message}")
        with contextlib.suppress(OSError):
            os.write(given.ready_fd, f"{e.code} {e.message}\n".encode())
        return e.exit
    except Exception:  # noqa: BLE001 - whatever ends the site belongs into its log
        log("the site has failed:\n" + traceback.format_exc())
        return Exit.SOFTWARE
    return Exit.OK


if __name__ == "__main__":
    sys.exit(main())
