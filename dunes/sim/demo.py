"""Run a story as typed commands in a home of its own, and measure what the guide promises."""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dunes.errors import DunesError
from dunes.paths import find_paths
from dunes.sim.control import LinkRequest, SiteControl
from dunes.sim.outage import REHEARSAL
from dunes.sim.speedtest import Transfer, request_transfer
from dunes.sim.story import LAST_LINE, OUTAGE, STORIES, Line
from dunes.sim.typed import run_typed
from dunes.site import Site, resolve, running_site

TRANSFER_BYTES = 64_000_000
TRANSFER_DELAY_S = 0.02
"""One way over Starlink alone: the transfer measures the link, not the way to the Moon."""

DEMO_S = 60.0
ALERT_OPEN_S = 5.0
ALERT_BACK_S = 15.0
GUIDE_UPLINK_MBPS = 100.0


@dataclass(frozen=True, slots=True)
class Step:
    """A line that was typed, or skipped.

    Attributes:
        typed: the line.
        exit: its exit status; null if it was skipped.
        seconds: what it took.
        skipped: why it was skipped; empty if it was not.
    """

    typed: str
    exit: int | None
    seconds: float
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Threshold:
    """One promise and what was measured.

    Attributes:
        name: what is promised.
        wanted: the threshold in words.
        measured: the figure; null if it could not be measured.
        unit: of the figure.
        passed: whether the figure keeps the promise.
        how: how it was measured.
    """

    name: str
    wanted: str
    measured: float | None
    unit: str
    passed: bool
    how: str


@dataclass(frozen=True, slots=True)
class DemoReport:
    """A demonstration.

    Attributes:
        passed: all thresholds were kept.
        site: which story.
        simulated: always true.
        seconds: what it took.
        home: its DUNES_HOME, if it was kept.
        steps: the lines.
        thresholds: the promises.
        rehearsal: the outage's own report, as `dunes simulate-disconnect --json` gives it.
    """

    passed: bool
    site: str
    simulated: bool
    seconds: float
    home: str
    steps: tuple[Step, ...]
    thresholds: tuple[Threshold, ...]
    rehearsal: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Demo:
    """One demonstration.

    Args:
        site: which story.
        exists: tells whether this release has the command of a line.
        say: told each line typed and each line of output.
        folder: where it works; its DUNES_HOME is `home` in there.
        inputs: writes the example files into a folder.
    """

    site: str
    exists: Callable[[str], bool]
    say: Callable[[str], None]
    folder: Path
    inputs: Callable[[Path], None]
    _steps: list[Step] = field(default_factory=list)
    _transfer: Transfer | None = None

    def run(self) -> DemoReport:
        """Type the story, and measure."""
        begin_s = time.monotonic()
        environ = {
            name: value for name, value in os.environ.items() if not name.startswith("DUNES_")
        } | {"DUNES_HOME": str(self.folder / "home"), "NO_COLOR": "1"}
        self.inputs(self.folder)
        try:
            for line in STORIES[self.site]:
                site = self._site(environ)
                ground = site.ground_data if site is not None else "ground"
                if not self._step(replace(line, typed=line.typed.format(ground=ground)), environ):
                    break
                if line.typed.startswith("dunes sim up"):
                    self._measure_rate(environ)
        finally:
            if not self._steps or self._steps[-1].typed != LAST_LINE:
                self._step(Line(LAST_LINE), environ)
        seconds = time.monotonic() - begin_s
        rehearsal = self._rehearsal(environ)
        found = tuple(thresholds(rehearsal, self._steps, self._transfer, seconds))
        return DemoReport(
            passed=all(each.passed for each in found),
            site=self.site,
            simulated=True,
            seconds=seconds,
            home="",
            steps=tuple(self._steps),
            thresholds=found,
            rehearsal=rehearsal,
        )

    def _step(self, line: Line, environ: Mapping[str, str]) -> bool:
        """Type one line; False if the story cannot go on."""
        reason = ""
        if not self.exists(line.typed):
            reason = "not in this release"
        elif line.needs and not (self.folder / line.needs).exists():
            reason = f"the example {line.needs} is not installed"
        if reason:
            self.say(f"- skipped: {line.typed} ({reason})")
            self._steps.append(Step(line.typed, None, 0.0, reason))
            return True
        self.say(f"$ {line.typed}")
        ran = run_typed(
            line.typed,
            environ=environ,
            folder=self.folder,
            timeout_s=line.timeout_s,
            on_line=self.say,
        )
        self._steps.append(Step(line.typed, ran.exit, ran.seconds))
        if ran.exit:
            self.say(f"[{ran.exit}]")
        return ran.exit == 0 or not line.typed.startswith("dunes sim up")

    def _site(self, environ: Mapping[str, str]) -> Site | None:
        return running_site(find_paths(environ))

    def _measure_rate(self, environ: Mapping[str, str]) -> None:
        """Send data over the site's link without its rate limit, then put the limit back."""
        site = self._site(environ)
        if site is None:
            return
        control = SiteControl.of(site)
        link = control.request_state().link
        name = next(iter(site.destinations))
        target = resolve(f"speedtest.{name}", 5201, site)
        try:
            control.request_link(
                LinkRequest(one_way_delay_s=TRANSFER_DELAY_S, rate_bps=0.0, jitter_s=0.0, loss=0.0)
            )
            self._transfer = request_transfer(target.host, target.port, TRANSFER_BYTES, 20.0)
        except DunesError as e:
            self.say(f"- no transfer: {e.message}")
        finally:
            control.request_link(
                LinkRequest(
                    one_way_delay_s=link.one_way_delay_s,
                    rate_bps=link.rate_bps,
                    jitter_s=link.jitter_s,
                    loss=link.loss,
                )
            )

    def _rehearsal(self, environ: Mapping[str, str]) -> dict[str, Any]:
        path = find_paths(environ).state / REHEARSAL
        try:
            content: dict[str, Any] = json.loads(path.read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        return content


def thresholds(
    rehearsal: Mapping[str, Any],
    steps: list[Step],
    transfer: Transfer | None,
    seconds: float,
) -> Iterator[Threshold]:
    """Compare figures with promises; what was not measured is not kept."""
    made = rehearsal.get("made") or 0
    judged = "what sensors made against what the ground station holds"

    def count(key: str) -> float | None:
        value = rehearsal.get(key)
        return None if value is None else float(value)

    def share(value: float | None) -> float | None:
        return None if value is None or not made else 100.0 * value / made

    mesh = rehearsal.get("mesh")
    if mesh:
        yield _at_least(
            "mesh delivery",
            mesh.get("heard_percent"),
            95.0,
            "%",
            f"{mesh.get('heard')} of {mesh.get('reports')} reports that {mesh.get('nodes')} nodes "
            "numbered; virtual radio",
        )
        judged = "what the gateway heard against what the ground station holds"
    lost, delivered = count("lost"), count("delivered")
    kept = share(None if lost is None else made - lost)
    yield _at_least("retention", kept, 100.0, "%", judged + ", and the gateway's buffer")
    yield _at_least("delivery", share(delivered), 95.0, "%", judged)
    yield _at_most("lost", lost, 0.0, "readings", judged)
    yield _at_most("duplicated", count("duplicated"), 0.0, "readings", judged)
    alerts = rehearsal.get("alerts", {})
    yield _at_most(
        "alert delay, link up",
        alerts.get("delay_max_s"),
        ALERT_OPEN_S,
        "s",
        "longest way of an alert that it did not, from the sensor's file until it was seen "
        "in the ground station's store",
    )
    yield _at_most(
        "alert delay, after the outage",
        alerts.get("after_restore_max_s"),
        ALERT_BACK_S,
        "s",
        "longest way of an alert that the outage held up, from the link's return on",
    )
    yield _at_least(
        "local uptime",
        rehearsal.get("accepted_percent"),
        99.99,
        "%",
        f"share of {rehearsal.get('accepted_looks', 0)} looks at which all that was made 2 s "
        "before was on the gateway's disk" + (", but for what the mesh lost" if mesh else ""),
    )
    yield _above(
        "uplink rate, simulated link",
        None if transfer is None else transfer.rate_bps / 1e6,
        GUIDE_UPLINK_MBPS,
        "Mbit/s",
        f"{TRANSFER_BYTES / 1e6:.0f} MB through the simulated link without rate limit, "
        f"{TRANSFER_DELAY_S * 1e3:.0f} ms one way; loopback, no radio",
    )
    wrong = [step for step in steps if step.exit and not step.typed.startswith(OUTAGE)]
    yield _at_most("commands that failed", float(len(wrong)), 0.0, "commands", "exit statuses")
    yield _at_most("duration", seconds, DEMO_S, "s", "wall clock of all of it")


def _at_least(name: str, measured: float | None, least: float, unit: str, how: str) -> Threshold:
    passed = measured is not None and measured >= least
    return Threshold(name, f">= {least:g}", measured, unit, passed, how)


def _above(name: str, measured: float | None, least: float, unit: str, how: str) -> Threshold:
    passed = measured is not None and measured > least
    return Threshold(name, f"> {least:g}", measured, unit, passed, how)


def _at_most(name: str, measured: float | None, most: float, unit: str, how: str) -> Threshold:
    passed = measured is not None and measured <= most
    return Threshold(name, f"<= {most:g}", measured, unit, passed, how)


@contextmanager
def demo_folder(*, keep: bool) -> Iterator[Path]:
    """Make a folder to work in, and remove it unless it is to be kept."""
    folder = Path(tempfile.mkdtemp(prefix="dunes-demo-"))
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
