"""`dunes mesh-init`: find, provision and configure the nodes of a Bluetooth mesh."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.commands.mesh_options import MeshId, Timeout
from dunes.console import Screen, command
from dunes.console.radio_options import Ble
from dunes.errors import Exit, NotFound, UsageError

if TYPE_CHECKING:
    from dunes.console.screen import Progress
    from dunes.gateway.dialogue import Ask
    from dunes.gateway.setup import MeshInitReport
    from dunes.mesh.provisioning.events import Show, TypeIn

NODES_MAX = 16_000
TEXT_BYTES_MAX = 64 * 1024 * 1024
SHOWN_MAX = 20


@command(schema="dunes.mesh-init/1", report="dunes.gateway.setup:MeshInitReport")
def mesh_init(
    screen: Screen,
    nodes: Annotated[int, typer.Option("--nodes", help="How many nodes the mesh shall have.")],
    range_: Annotated[
        str | None,
        typer.Option(
            "--range",
            metavar="LENGTH",
            help="How far the farthest node is, e.g. 1000m: decides TTL and who relays.",
        ),
    ] = None,
    power_mode: Annotated[
        str,
        typer.Option(
            "--power-mode",
            metavar="low|medium|high",
            help="How often nodes speak, how often they repeat, who relays.",
        ),
    ] = "low",
    period: Annotated[
        str | None,
        typer.Option(
            "--period", metavar="DURATION", help="Publish period instead of the power mode's."
        ),
    ] = None,
    mesh_id: MeshId = None,
    ble: Ble = None,
    profile: Annotated[
        Path | None,
        typer.Option(
            "--profile",
            metavar="FILE",
            help="TOML with groups, models, power modes. [default: mesh.profile]",
        ),
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option(
            "--plan",
            metavar="FILE",
            help="Plan of torgo: relays, TTL, pace by name. [default: mesh.plan]",
        ),
    ] = None,
    oob_file: Annotated[
        Path | None,
        typer.Option(
            "--oob-file", metavar="FILE", help="Static OOB values, a UUID and a value a line."
        ),
    ] = None,
    require_oob: Annotated[
        bool, typer.Option("--require-oob", help="Take no device that proves nothing.")
    ] = False,
    parallel: Annotated[
        int, typer.Option("--parallel", help="Nodes at once; 0: as many as the radio has links.")
    ] = 0,
    quiet_after: Annotated[
        str,
        typer.Option(
            "--quiet-after",
            metavar="DURATION",
            help="Give up when nothing new was heard for so long.",
        ),
    ] = "10s",
    timeout: Timeout = "15m",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what nodes would become; touch nothing.")
    ] = False,
) -> int:
    """Find, provision and configure the nodes of a Bluetooth mesh; go on where it was left."""
    import asyncio

    from dunes.console.screen import printable
    from dunes.gateway.oobfile import read_oob
    from dunes.gateway.outcome import Stage
    from dunes.gateway.planfile import read_plan
    from dunes.gateway.profile import load_profile
    from dunes.gateway.setup import Request, rehearse, set_up
    from dunes.settings import load
    from dunes.units import duration_s, length_m

    if not 0 < nodes <= NODES_MAX or parallel < 0:
        raise UsageError(f"--nodes is 1 to {NODES_MAX}", hint="--nodes 20")
    settings = load()
    profile = profile or _configured(settings["mesh.profile"])
    plan = plan or _configured(settings["mesh.plan"])
    period_s = None if period is None else duration_s(period)
    chosen = load_profile(_text(profile), where=str(profile))
    request = Request(
        nodes,
        chosen,
        chosen.mode(power_mode, period_s=period_s),
        None if range_ is None else length_m(range_),
        None if plan is None else read_plan(_text(plan) or "", where=str(plan)),
        period is not None,
        mesh_id,
        ble,
        {} if oob_file is None else read_oob(_text(oob_file) or "", where=str(oob_file)),
        require_oob,
        _asker(screen) if screen.may_ask else None,
        duration_s(timeout),
        duration_s(quiet_after),
        parallel,
    )
    if dry_run:
        report = rehearse(settings, request)
        screen.show(report, report_lines)
        return Exit.OK
    with screen.progress("mesh-init", nodes, "nodes") as bar:

        def tell(line: "MeshInitReport") -> None:
            if screen.json:
                screen.show(line)
            hidden = {Stage.STEP} if screen.verbose else {Stage.STEP, Stage.FOUND}
            _step(bar, line, quiet=line.node is None or line.node.stage in hidden)

        report = asyncio.run(
            set_up(
                settings,
                request,
                tell=tell,
                note=lambda text: screen.detail(printable(text)),
                warn=lambda text: screen.warn(printable(text)),
            )
        )
    screen.show(report, report_lines)
    return _exit_status(report)


def _step(bar: "Progress", line: "MeshInitReport", *, quiet: bool) -> None:
    from dunes.console.screen import printable

    if quiet or line.node is None:
        bar.update(line.configured)
        return
    node = line.node
    who = node.name or node.uuid
    at = f" {node.unicast:#06x}" if node.unicast else ""
    detail = f": {node.detail}" if node.detail else ""
    text = printable(f"{who}{at} {node.stage}{detail}")
    bar.update(line.configured, note=f"{line.configured}/{line.wanted} {text}")


def _exit_status(report: "MeshInitReport") -> int:
    if report.complete:
        return Exit.OK
    return Exit.NO if report.configured else Exit.UNAVAILABLE


def _configured(text: str) -> Path | None:
    return Path(text) if text else None


def _text(path: Path | None) -> str | None:
    """Read a file of reasonable size."""
    from dunes.errors import DataError

    if path is None:
        return None
    try:
        content = path.read_bytes()[: TEXT_BYTES_MAX + 1]
        if len(content) > TEXT_BYTES_MAX:
            raise DataError(f"{path} is larger than 64 MB")
        return content.decode("utf-8")
    except OSError as error:
        raise NotFound(f"{path}: {error.strerror}", hint=f"ls -l {path.parent}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8") from error


def _asker(screen: Screen) -> "Ask":
    """Ask the person at the terminal, one question at a time."""
    import asyncio

    from dunes.mesh.provisioning.events import Show

    turn = asyncio.Lock()

    async def ask(uuid: bytes, question: "TypeIn | Show") -> str:
        async with turn:
            if isinstance(question, Show):
                screen.warn(f"device {uuid.hex()}: {question.action} {question.value} into it")
                return ""
            what = "letters and digits" if question.alphanumeric else "number"
            screen.warn(f"device {uuid.hex()}: the {what} that it shows by {question.action}?")
            return await asyncio.to_thread(input, "> ")

    return ask


def report_lines(report: "MeshInitReport") -> Iterator[str]:
    """Say how it went, for people."""
    from dunes.console.screen import printable
    from dunes.units import show_duration

    verb = "would be" if report.dry_run else "are"
    new = report.configured - report.before
    took = "" if report.dry_run else f" in {show_duration(report.duration_s)}"
    if report.dry_run:
        yield f"mesh {report.mesh_id}: {report.before} of {report.wanted} nodes are configured"
    elif not new and not report.changed and report.complete:
        yield f"mesh {report.mesh_id}: all {report.wanted} nodes are configured; nothing to do"
    else:
        yield (
            f"mesh {report.mesh_id}: {report.configured} of {report.wanted} nodes are configured"
            f" ({new} new, {report.changed} changed){took}"
        )
    settled = report.design
    if settled is not None:
        ttl = "their own TTL" if settled.ttl is None else f"TTL {settled.ttl}"
        yield (
            f"  they {verb} set to: telemetry every {show_duration(settled.publish_period_s)}, "
            f"{ttl}, {settled.relay_share:.0%} relay, "
            f"{settled.transmissions} transmissions ({settled.relay_transmissions} relayed)"
        )
        yield (
            f"  load         {settled.messages_per_s:.3g} messages/s; 1 % is lost from "
            f"{settled.carries_per_s:.3g}/s on ({settled.by})"
        )
    yield f"  table        {report.table}"
    if report.radio:
        yield f"  radio        {report.radio}"
    for node in report.failed[:SHOWN_MAX]:
        at = f" {node.unicast:#06x}" if node.unicast else ""
        yield printable(f"  failed       {node.name or node.uuid}{at}: {node.reason}", 300)
    if len(report.failed) > SHOWN_MAX:
        yield f"  failed       and {len(report.failed) - SHOWN_MAX} more (--json names them)"
    missing = report.wanted - report.configured - len(report.failed)
    if missing > 0 and not report.dry_run:
        why = "the time was over" if report.timed_out else "nothing more advertises"
        yield f"  missing      {missing}: {why}; run the same again to go on"
    for text in report.warnings:
        yield f"  warning      {text}"
    if report.simulated:
        yield "  simulated    yes (dunes sim status)"
