"""Start and end the simulated site."""

import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from dunes.errors import DunesError, TryLater, Unavailable, UsageError
from dunes.paths import Paths
from dunes.sim.definition import NODES_MAX
from dunes.sim.siteclock import SPEED_MAX
from dunes.site import Site, need_site, running_site, site_directory
from dunes.text import printable

START_S = 40.0
"""A loaded single-board computer takes this long at most."""

STOP_S = 10.0
KILL_S = 5.0
GONE_S = 2.0
"""A killed process is gone within this."""

LOG_LINES = 15
LOG_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Started:
    """What `up` found or did.

    Attributes:
        site: the site that is up now.
        already: it was up before.
        seconds: what the start took.
    """

    site: Site
    already: bool
    seconds: float


def log_path(paths: Paths) -> Path:
    """Say where the site's log is."""
    return site_directory(paths) / "site.log"


def check_speed(speed: float | None) -> None:
    """Check the speed of a site's clock.

    Raises:
        UsageError: no clock can run so.
    """
    if speed is not None and not 0 < speed <= SPEED_MAX:
        raise UsageError(
            f"speed {speed:g} is not above 0 and at most {SPEED_MAX:g}",
            hint="--speed 60 lets ten minutes pass in ten seconds",
        )


def check_nodes(nodes: int | None) -> None:
    """Check the number of nodes of a site's mesh.

    Raises:
        UsageError: no site has so many.
    """
    if nodes is not None and not 0 < nodes <= NODES_MAX:
        raise UsageError(f"{nodes} nodes are not within 1 and {NODES_MAX}", hint="--nodes 20")


def up(
    paths: Paths,
    name: str,
    speed: float | None = None,
    *,
    nodes: int | None = None,
    start_s: float = START_S,
) -> Started:
    """Start the site in the background, or find that it is up.

    Args:
        paths: of this installation.
        name: of the site.
        speed: site seconds in one of ours, default 1; a running site takes it over.
        nodes: in its mesh; as the site's definition says if not given.
        start_s: how long a start may take.

    Raises:
        UsageError: another site is up.
        NotFound: there is no such site.
        Unavailable: it did not start; the message has the end of its log.
    """
    from dunes.sim.definition import load_definition

    load_definition(name)
    begin_s = time.monotonic()
    if (site := running_site(paths)) is not None:
        try:
            return Started(_adopt(site, name, speed, nodes), already=True, seconds=0.0)
        except Unavailable:
            # it has been killed this very moment, or it hangs
            if not _await_gone(paths, GONE_S):
                raise
    folder = paths.ready(site_directory(paths))
    answer = _spawn(paths, folder, name, speed or 1.0, nodes or 0, begin_s + start_s)
    if answer.startswith(b"site-busy"):
        site = _await_other(paths, begin_s + start_s)
        return Started(_adopt(site, name, speed, nodes), already=True, seconds=0.0)
    site = running_site(paths)
    if answer != b"ready\n" or site is None:
        raise Unavailable(
            f"the simulated site {name} did not start:\n{log_tail(paths)}",
            hint=f"less {log_path(paths)}",
            code="site-failed",
        )
    return Started(site, already=False, seconds=time.monotonic() - begin_s)


def _adopt(site: Site, name: str, speed: float | None, nodes: int | None) -> Site:
    """Take a running site as the one that was asked for, once it answers."""
    if site.name != name:
        raise UsageError(
            f"the site {site.name} is up; there is one at a time",
            hint=f"dunes sim down && dunes sim up --site {name}",
            code="other-site",
        )
    from dunes.sim.control import SiteControl

    control = SiteControl.of(site)
    state = control.request_state() if speed is None else control.request_speed(speed)
    if nodes is not None and state.mesh.nodes not in (nodes, 0):
        raise UsageError(
            f"the site {name} is up with {state.mesh.nodes} nodes",
            hint=f"dunes sim down && dunes sim up --site {name} --nodes {nodes}",
            code="other-site",
        )
    return site


def _spawn(
    paths: Paths, folder: Path, name: str, speed: float, nodes: int, deadline_s: float
) -> bytes:
    """Start the site's process and give what it says of its start; empty if it failed."""
    reading, writing = os.pipe()
    package = Path(__file__).resolve().parents[2]
    environ = os.environ | {
        "PYTHONPATH": os.pathsep.join(
            [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
        )
    }
    log = log_path(paths)
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    try:
        with log.open("ab") as output:
            subprocess.run(  # noqa: S603 - our own interpreter and module
                [
                    sys.executable,
                    "-m",
                    "dunes.sim.daemon",
                    f"--folder={folder}",
                    f"--site={name}",
                    f"--speed={speed}",
                    f"--ready-fd={writing}",
                    f"--nodes={nodes}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(writing,),
                start_new_session=True,
                cwd="/",
                env=environ,
                check=False,
                timeout=max(1.0, deadline_s - time.monotonic()),
            )
        os.close(writing)
        writing = -1
        return _read_line(reading, deadline_s)
    except subprocess.TimeoutExpired:
        return b""
    finally:
        os.close(reading)
        if writing >= 0:
            os.close(writing)


def _read_line(descriptor: int, deadline_s: float) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        left_s = deadline_s - time.monotonic()
        if left_s <= 0 or not select.select([descriptor], [], [], left_s)[0]:
            break
        piece = os.read(descriptor, 4096)
        if not piece:
            break
        line += piece
    return line


def _await_other(paths: Paths, deadline_s: float) -> Site:
    """Wait until the site that somebody else is starting is up."""
    while time.monotonic() < deadline_s:
        if (site := running_site(paths)) is not None:
            return site
        time.sleep(0.05)
    raise TryLater(
        "another process is starting the site and does not come to an end",
        hint="dunes sim down",
        code="site-busy",
    )


def log_tail(paths: Paths) -> str:
    """Give the end of the site's log, safe to print."""
    try:
        with log_path(paths).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
            lines = file.read().decode("utf-8", "replace").splitlines()[-LOG_LINES:]
    except FileNotFoundError:
        return "  (no log)"
    return "\n".join("  " + printable(line) for line in lines)


def holder(paths: Paths) -> int | None:
    """Give the process that runs or starts the site, from the lock that it holds."""
    try:
        lock = os.open(site_directory(paths) / "site.lock", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        number = os.read(lock, 32).strip()
        return int(number) if number.isdigit() else None
    else:
        return None
    finally:
        os.close(lock)


def down(paths: Paths, *, stop_s: float = STOP_S) -> bool:
    """End the site: ask, then SIGTERM, then SIGKILL.

    Returns:
        Whether one was up, or starting.

    Raises:
        Unavailable: it is still there.
    """
    pid = holder(paths)
    if pid is None:
        (site_directory(paths) / "site.json").unlink(missing_ok=True)
        return False

    def ask() -> None:
        from dunes.sim.control import SiteControl

        control = SiteControl.of(need_site(paths))
        control.timeout_s = stop_s
        control.request_stop()

    for action, wait_s in (
        (ask, stop_s),
        (lambda: os.kill(pid, signal.SIGTERM), stop_s),
        (lambda: os.kill(pid, signal.SIGKILL), KILL_S),
    ):
        try:
            action()
        except DunesError:
            continue  # it cannot be asked: starting, hanging, or its description is broken
        except ProcessLookupError:
            return True
        if _await_gone(paths, wait_s):
            return True
    raise Unavailable(f"the site's process {pid} does not end", hint=f"kill -9 {pid}")


def _await_gone(paths: Paths, wait_s: float) -> bool:
    deadline_s = time.monotonic() + wait_s
    while time.monotonic() < deadline_s:
        if holder(paths) is None:
            (site_directory(paths) / "site.json").unlink(missing_ok=True)
            return True
        time.sleep(0.03)
    return False
