"""Run the house's commands as a person types them: separate processes, same words."""

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dunes.sim.leash import MODULES

OUTPUT_MAX_BYTES = 64 * 1024
STOP_S = 10.0

TIMED_OUT = 124
"""The exit status of a command that took too long, as of timeout(1)."""


def argv_of(typed: str) -> list[str]:
    """Give the arguments that run a typed line with this interpreter.

    The names on PATH may be somebody else's; and what runs so ends with us.

    Raises:
        ValueError: it begins with no program of the house.
    """
    first, *rest = shlex.split(typed)
    if first not in MODULES:
        raise ValueError(f"{first} is no program of the house")
    return [sys.executable, "-m", "dunes.sim.leash", str(os.getpid()), first, *rest]


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has ended.

    Attributes:
        typed: the line.
        exit: its exit status.
        output: stdout and stderr as they came, bounded.
        seconds: what it took.
    """

    typed: str
    exit: int
    output: str
    seconds: float


def run_typed(
    typed: str,
    *,
    environ: Mapping[str, str],
    folder: Path,
    timeout_s: float,
    on_line: Callable[[str], None] = lambda _line: None,
) -> Ran:
    """Run a line to its end.

    Args:
        typed: the line.
        environ: its environment.
        folder: its working directory.
        timeout_s: it is killed after this, and its exit status is `TIMED_OUT`.
        on_line: told each line of its output as it comes.
    """
    begin_s = time.monotonic()
    kept: list[str] = []
    size = 0
    with subprocess.Popen(  # noqa: S603 - our own interpreter and programs
        argv_of(typed),
        env=dict(environ),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        killed = threading.Event()

        def kill() -> None:
            killed.set()
            process.kill()

        timer = threading.Timer(timeout_s, kill)
        timer.start()
        try:
            assert process.stdout is not None  # noqa: S101 - a pipe was asked for
            for raw in process.stdout:
                line = raw.decode("utf-8", "replace").rstrip("\n")
                on_line(line)
                size += len(raw)
                if size <= OUTPUT_MAX_BYTES:
                    kept.append(line)
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            process.wait(STOP_S)
            raise
        finally:
            timer.cancel()
    status = TIMED_OUT if killed.is_set() else process.returncode
    return Ran(typed, status, "\n".join(kept), time.monotonic() - begin_s)


@dataclass(slots=True)
class Background:
    """A command that runs on beside us, its output in a file.

    Args:
        typed: the line.
        log: where its output goes.
    """

    typed: str
    log: Path
    _process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    def start(self, environ: Mapping[str, str] | None = None) -> None:
        """Start it; a Ctrl-C at the terminal does not reach it."""
        self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and programs
                argv_of(self.typed),
                env=dict(os.environ if environ is None else environ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def exit(self) -> int | None:
        """Its exit status; None while it runs."""
        return None if self._process is None else self._process.poll()

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def tail(self, lines: int = 8) -> str:
        """Give the end of its output."""
        try:
            raw = self.log.read_bytes()[-OUTPUT_MAX_BYTES:]
        except FileNotFoundError:
            return ""
        return "\n".join(raw.decode("utf-8", "replace").splitlines()[-lines:])

    def stop(self, wait_s: float = STOP_S) -> int | None:
        """End it as Ctrl-C does, then harder; give its exit status."""
        if self._process is None:
            return None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is not None:
                break
            self._process.send_signal(number)
            try:
                self._process.wait(wait_s)
            except subprocess.TimeoutExpired:
                continue
        return self._process.poll()
