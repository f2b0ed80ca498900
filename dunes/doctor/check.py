"""How checks are run: all at once, each within its time, in the order of the table."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Thread
from typing import Literal, NamedTuple

from dunes.errors import DunesError
from dunes.settings import Settings

State = Literal["ok", "warn", "fail"]
LIMIT_S = 8.0
"""For one check; nothing here has to wait longer for a verdict."""


class Result(NamedTuple):
    """What a check found.

    Attributes:
        state: `ok`, `warn` (works, or is not needed yet) or `fail`.
        message: what was found, with the figure.
        hint: the next command, where there is one.
    """

    state: State
    message: str
    hint: str = ""


class Given(NamedTuple):
    """What every check is given.

    Attributes:
        settings: the configuration.
        environ: the environment.
        limit_s: how long it may take.
    """

    settings: Settings
    environ: Mapping[str, str]
    limit_s: float = LIMIT_S


class Check(NamedTuple):
    """One thing to look at.

    Attributes:
        name: as in `--only NAME`.
        run: looks.
    """

    name: str
    run: Callable[[Given], Result]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, for the report.

    Attributes:
        name: of the check.
        state: `ok`, `warn` or `fail`.
        message: what was found.
        hint: the next command; empty where there is none.
        elapsed_s: how long it took.
    """

    name: str
    state: State
    message: str
    hint: str
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """The whole examination.

    Attributes:
        healthy: no check failed.
        findings: in the order of the table.
    """

    healthy: bool
    findings: tuple[Finding, ...]


def examine(checks: Sequence[Check], given: Given) -> DoctorReport:
    """Run the checks at once and wait for each no longer than its limit.

    A check that does not come back in time is left behind: its thread is a daemon
    and ends with the program.
    """
    found: dict[str, Finding] = {}

    def look(check: Check) -> None:
        found[check.name] = _look(check, given)

    threads = [Thread(target=look, args=(check,), daemon=True) for check in checks]
    began_s = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, began_s + given.limit_s - time.monotonic()))
    late = f"no verdict within {given.limit_s:.3g} s"
    findings = tuple(
        found.get(check.name, Finding(check.name, "fail", late, "", given.limit_s))
        for check in checks
    )
    return DoctorReport(all(f.state != "fail" for f in findings), findings)


def _look(check: Check, given: Given) -> Finding:
    began_s = time.monotonic()
    try:
        result = check.run(given)
    except DunesError as e:
        result = Result("fail", e.message, e.hint or "")
    except Exception as e:  # noqa: BLE001 - one broken check must not hide the others
        result = Result("fail", f"the check itself failed: {type(e).__name__}: {e}"[:300])
    return Finding(check.name, *result, elapsed_s=round(time.monotonic() - began_s, 3))
