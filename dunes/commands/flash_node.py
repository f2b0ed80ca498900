"""`dunes flash-node`: bring firmware to nodes, so that it can be taken back."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.commands.firmware_options import Catalogues, find_shelf
from dunes.console import Screen, command
from dunes.console.screen import printable, table_lines
from dunes.errors import Exit, UsageError

if TYPE_CHECKING:
    from dunes.firmware.flash import Flasher, Tell
    from dunes.firmware.report import FlashReport, NodeRow
    from dunes.firmware.session import Stage
    from dunes.firmware.target import Target
    from dunes.settings import Settings
    from dunes.site import Site

PARALLEL_MAX = 64
WANTED = ("updated", "on-trial", "up-to-date", "would-update", "copied")
PASSED_OVER = ("not-older", "other-board", "no-smp")
"""What is no failure of a node that nobody named."""


@command(schema="dunes.flash-node/1", report="dunes.firmware.report:FlashReport")
def flash_node(
    screen: Screen,
    firmware: Annotated[
        str,
        typer.Option(metavar="NAME", help="Which, e.g. ble-mesh-v1.2; see dunes firmware list."),
    ],
    device: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NODE",
            help="rover-001, ble:NAME, /dev/ttyUSB0, udp:HOST:PORT, uf2:FOLDER or probe:SERIAL; "
            "repeatable; default: every node in reach that it fits and that runs something older.",
        ),
    ] = None,
    ble: Annotated[
        str | None,
        typer.Option(metavar="RADIO", help="bluez, bluez:hci0 or hci:…; default: as configured."),
    ] = None,
    board: Annotated[
        str, typer.Option(metavar="BOARD", help="Only firmware that was built for this board.")
    ] = "",
    catalogue: Catalogues = None,
    force: Annotated[
        str,
        typer.Option(
            metavar="truncated|other-board|downgrade|stranger|bootloader",
            help="Allow this one reason against flashing, and no other.",
        ),
    ] = "",
    confirm: Annotated[
        bool,
        typer.Option(
            "--confirm/--no-confirm",
            help="Keep what runs well; --no-confirm leaves it on trial until the next start.",
        ),
    ] = True,
    parallel: Annotated[
        int,
        typer.Option(metavar="N", help="How many nodes at once; a radio carries 4 links or so."),
    ] = 8,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Ask the nodes and judge, but change nothing.")
    ] = False,
    timeout: Annotated[
        str, typer.Option(metavar="DURATION", help="How long one node may take.")
    ] = "5m",
) -> int:
    """Flash firmware on nodes over SMP, UF2 or a debug probe; what does not run is taken back.

    Signature, image, board and version are checked before a byte is sent. Over SMP the node
    starts the new firmware on trial; only after it was seen running is it confirmed, else
    the node's next start brings the old one back. An upload that broke off goes on where it
    stopped: repeat the command.
    """
    import asyncio

    from dunes.firmware.flash import Flasher
    from dunes.firmware.manifest import Wanted
    from dunes.firmware.rules import read_reason
    from dunes.firmware.target import parse_target
    from dunes.settings import load
    from dunes.site import running_site
    from dunes.units import duration_s

    timeout_s = duration_s(timeout)
    if not 1 <= parallel <= PARALLEL_MAX:
        raise UsageError(f"--parallel {parallel} is not within 1 and {PARALLEL_MAX}")
    targets = [parse_target(text) for text in dict.fromkeys(device or ())]
    reason = read_reason(force) if force else None
    settings = load()
    site = running_site(settings.paths)
    wanted, kind = Wanted.parse(firmware), kind_for(targets)
    shelf = find_shelf(settings, site, catalogue, wanted.name)
    variants = shelf.named(wanted, kind, board)
    flasher = Flasher(shelf, variants, reason, dry_run, confirm, timeout_s)
    flasher.check_variants()
    if reason is not None:
        screen.warn(f"--force {reason}: nobody will stop you if that was wrong")
    label = variants[0].manifest.label
    with screen.progress(f"flash {label}", None, "bytes") as bar:
        flasher.tell = teller(bar.update)
        rows = asyncio.run(flash(flasher, targets, settings, site, ble, parallel))
    report = make_report(label, rows, dry_run=dry_run, forced=force)
    screen.show(report, lines)
    return exit_of(report)


def kind_for(targets: "Sequence[Target]") -> str:
    """Say which kind of image the nodes take.

    Raises:
        UsageError: they do not all take the same.
    """
    from dunes.firmware.target import Way

    kinds = {"uf2" if target.way is Way.UF2 else "mcuboot" for target in targets} or {"mcuboot"}
    if len(kinds) > 1:
        raise UsageError("uf2: takes other images than all other ways", hint="one kind at a time")
    return kinds.pop()


def teller(update: Callable[..., None]) -> "Tell":
    """Make what tells a progress bar how far all nodes are."""
    seen: dict[str, tuple[str, int, int]] = {}

    def tell(node: str, stage: "Stage", done: int, total: int) -> None:
        before = seen.get(node, ("", 0, 0))
        seen[node] = (stage, done or before[1], total or before[2])
        note = f"{node}: {stage}" if stage != before[0] else None
        update(
            sum(each[1] for each in seen.values()),
            total=sum(each[2] for each in seen.values()) or None,
            note=note,
        )

    return tell


async def flash(
    flasher: "Flasher",
    targets: "Sequence[Target]",
    settings: "Settings",
    site: "Site | None",
    ble: str | None,
    parallel: int,
) -> "list[NodeRow]":
    """Reach the nodes by their ways, and flash them."""
    from dunes.authority.model import Action
    from dunes.firmware import reach
    from dunes.firmware.byhand import by_hand
    from dunes.firmware.links import need_smpclient
    from dunes.firmware.target import Way
    from dunes.gateway.permission import permit

    label = flasher.variants[0].manifest.label
    flasher.permit = lambda node: permit(settings, Action.NODE_FLASH, node, label)
    rows = []
    for target in targets:
        if target.way in {Way.UF2, Way.PROBE}:
            if not flasher.dry_run:
                await flasher.permit(target.text)
            rows.append(by_hand(flasher, target))
    lines_ = [reach.wired(t, site) for t in targets if t.way in {Way.SERIAL, Way.UDP}]
    rows += await flasher.flash_all(lines_, parallel)
    by_name = [target for target in targets if target.way is Way.BLE]
    if by_name or not targets:
        need_smpclient()
        rows += await by_radio(flasher, by_name, settings, site, ble, parallel)
    return rows


async def by_radio(
    flasher: "Flasher",
    targets: "Sequence[Target]",
    settings: "Settings",
    site: "Site | None",
    ble: str | None,
    parallel: int,
) -> "list[NodeRow]":
    """Flash the nodes that the radio hears.

    Raises:
        RadioLost: none, or not the only one that was named.
    """
    from dunes.ble.errors import RadioLost
    from dunes.ble.opening import using_radio
    from dunes.firmware import reach
    from dunes.firmware.report import NodeRow

    async with using_radio(ble, settings=settings, site=site) as radio:
        listen_s = min(reach.LISTEN_S, flasher.timeout_s)
        found, missing = await reach.by_radio(radio, targets, listen_s)
        lost = [reach.not_heard(target, radio, listen_s) for target in missing]
        if not targets and not found:
            raise RadioLost(f"{radio.name} hears no node", hint="are they powered, and in reach?")
        rows = await flasher.flash_all(found, parallel)
    return rows + [
        NodeRow(
            target.address, "ble", result="failed", code=e.code, message=e.message,
            hint=e.hint or "",
            exit=int(e.exit),
        )
        for target, e in zip(missing, lost, strict=True)
    ]  # fmt: skip


def make_report(
    label: str, rows: "Sequence[NodeRow]", *, dry_run: bool, forced: str
) -> "FlashReport":
    """Count what became of the nodes."""
    from dunes.firmware.report import FlashReport

    ordered = tuple(sorted(rows, key=lambda row: row.node))
    return FlashReport(
        firmware=label,
        dry_run=dry_run,
        forced=forced,
        nodes=tuple(replace(row, node=printable(row.node, 80)) for row in ordered),
        updated=sum(row.result in {"updated", "on-trial", "copied"} for row in ordered),
        failed=sum(row.result not in {*WANTED, *PASSED_OVER} for row in ordered),
        simulated=any(row.simulated for row in ordered),
    )


def exit_of(report: "FlashReport") -> int:
    """Give the exit status: of the one failure, or 1 where there are several kinds."""
    codes = {row.exit for row in report.nodes if row.result not in {*WANTED, *PASSED_OVER}}
    if not codes:
        return Exit.OK
    return codes.pop() if len(codes) == 1 else Exit.NO


def lines(report: "FlashReport") -> Iterator[str]:
    """Write a row per node, what went wrong, and the sum."""
    yield from table_lines(
        ("NODE", "WAY", "BOARD", "BEFORE", "NOW", "RESULT", "SENT"),
        (
            (
                row.node,
                row.way,
                printable(row.board, 30) or "-",
                row.before or "-",
                row.now or "-",
                row.result,
                sent(row),
            )
            for row in report.nodes
        ),
    )
    for row in report.nodes:
        if row.message and row.result not in PASSED_OVER:
            yield f"{row.node}: {printable(row.message)}"
            if row.hint:
                yield f"  hint: {printable(row.hint)}"
    how = "would be updated" if report.dry_run else "updated"
    count = sum(row.result == "would-update" for row in report.nodes)
    yield (
        f"{report.firmware}: {count if report.dry_run else report.updated} of "
        f"{len(report.nodes)} {how}, {report.failed} failed"
        + (" (simulated nodes)" if report.simulated else "")
    )


def sent(row: "NodeRow") -> str:
    """Write what was sent, and how long that took."""
    from dunes.units import show_duration, show_size

    if not row.sent_bytes:
        return "-"
    text = f"{show_size(row.sent_bytes)} in {show_duration(row.duration_s)}"
    if row.resumed_bytes:
        text += f", {show_size(row.resumed_bytes)} were there"
    return text
