"""`dunes ingest`: readings of a file, a pipe or a growing file go into the buffer."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.errors import Exit, NotFound, UsageError

if TYPE_CHECKING:
    from dunes.buffer.appender import Appender, State
    from dunes.buffer.intake.run import IngestReport, Voice
    from dunes.buffer.intake.source import Source
    from dunes.buffer.intake.stop import Stop
    from dunes.buffer.keyring import Keyring
    from dunes.buffer.store import Buffer
    from dunes.settings import Settings

FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv"}
"""What the name of a file says of its format."""


@command(schema="dunes.ingest/1", report="dunes.buffer.intake.run:IngestReport")
def ingest(
    screen: Screen,
    table: Annotated[
        str, typer.Option("--table", metavar="NAME", help="Table to write to; made if needed.")
    ],
    file: Annotated[
        str, typer.Argument(metavar="[FILE|-]", help="File or named pipe; - is standard input.")
    ] = "-",
    format_: Annotated[
        str,
        typer.Option("--format", metavar="auto|json|jsonl|csv", help="How the input is written."),
    ] = "auto",
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Go on as the file grows, through rotation."),
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first record that is rejected.")
    ] = False,
) -> int:
    """Take readings into the buffer: JSON, JSON Lines or CSV, from a file or pipe."""
    from dunes.buffer.intake.decode import Format
    from dunes.buffer.intake.run import IngestReport, Intake, StrictStop
    from dunes.buffer.intake.stop import Stop
    from dunes.buffer.keyring import Keyring
    from dunes.buffer.store import open_buffer
    from dunes.model import buffer_name, table_name
    from dunes.settings import load
    from dunes.uplink.target import gateway_name

    if format_ not in list(Format):
        raise UsageError(f"no format {format_!r}", hint="--format auto, json, jsonl or csv")
    folded = table_name(table)
    if file != "-" and not follow and not Path(file).exists():
        raise NotFound(f"no file {file}", hint="ls " + str(Path(file).absolute().parent))
    settings = load()
    keys = Keyring.load(settings, create=True)
    gateway = gateway_name(settings, "" if keys.identity is None else keys.identity.kid)
    report = IngestReport(folded, buffer_name(folded), gateway, file)
    with (
        Stop() as stop,
        open_buffer(settings, gateway) as buffer,
        _source(settings, buffer, folded, file, stop, follow=follow) as source,
    ):
        appender = _appender(screen, settings, buffer, folded, keys)
        report.signed = report.sealed = keys.identity is not None
        wanted = format_ if format_ != "auto" else FORMATS.get(Path(file).suffix.lower(), "auto")
        with screen.progress(f"ingest {folded}", _megabytes(source.size_bytes), "MB") as bar:
            voice = _voice(screen, lambda size: bar.update(_megabytes(size) or 0.0))
            intake = Intake(
                appender, source, report, stop, voice, wanted=Format(wanted), strict=strict
            )
            try:
                intake.run()
            except StrictStop:
                screen.show(report, lines)
                raise
    screen.show(report, lines)
    return _exit_status(report, stop, follow=follow)


def _exit_status(report: "IngestReport", stop: "Stop", *, follow: bool) -> int:
    """Say how it went: room, then the input, then whether it was interrupted."""
    import signal

    if report.refused:
        return Exit.IOERR
    if report.rejected:
        return Exit.DATAERR
    if stop.signal and not follow:
        return Exit.INTERRUPTED if stop.signal == signal.SIGINT else 128 + stop.signal
    return Exit.OK


def _megabytes(size: int | None) -> float | None:
    return None if size is None else round(size / 1e6, 1)


def _voice(screen: Screen, progress: Callable[[int], None]) -> "Voice":
    from dunes.buffer.intake.run import Voice
    from dunes.console.screen import printable

    return Voice(
        note=screen.note,
        warn=lambda text: screen.warn(printable(text)),
        detail=screen.detail,
        progress=progress,
    )


def _appender(
    screen: Screen, settings: "Settings", buffer: "Buffer", table: str, keys: "Keyring"
) -> "Appender":
    from dunes.authority.masking import mask_of
    from dunes.buffer.appender import Appender, State

    def on_state(state: "State", message: str) -> None:
        (screen.note if state is State.OK else screen.warn)(f"{buffer.where}: {message}")

    return Appender(
        buffer,
        table,
        signer=None if keys.identity is None else keys.identity.signing,
        make_sealer=keys.make_sealer,
        rewrite=mask_of(settings.paths, table),
        on_state=on_state,
    )


@contextmanager
def _source(
    settings: "Settings", buffer: "Buffer", table: str, file: str, stop: "Stop", *, follow: bool
) -> Iterator["Source"]:
    """Open what is to be read; a followed file belongs to one process at a time."""
    from dunes.buffer.cursor import load_position
    from dunes.buffer.intake.lock import follow_lock
    from dunes.buffer.intake.source import FollowedFile, Stream

    source: Source
    if file == "-":
        source = Stream(0, "-", stop.wake)
        try:
            yield source
        finally:
            source.close()
        return
    path = Path(file).absolute()
    if not follow or path.is_fifo():
        source = Stream.open(path, stop.wake, follow=follow)
        try:
            yield source
        finally:
            source.close()
        return
    with follow_lock(settings.paths, path, table):
        with buffer.reading() as connection:
            position = load_position(connection, str(path), table)
        source = FollowedFile(path, position, stop.wake)
        try:
            yield source
        finally:
            source.close()


def lines(report: "IngestReport") -> Iterator[str]:
    """Say what was taken, for people."""
    from dunes.units import show_duration

    lanes = ", ".join(f"{n:,} {name}" for name, n in report.lanes.items() if n)
    yield (
        f"{report.accepted:,} reading{'s' * (report.accepted != 1)} into {report.table}"
        + (f" ({lanes})" if lanes else "")
        + f", {report.frames:,} frame{'s' * (report.frames != 1)}, "
        + show_duration(report.duration_s)
    )
    if report.resumed_at is not None:
        yield f"taken up again at byte {report.resumed_at:,} of {report.source}"
    if report.rejected:
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in report.reasons.items())
        yield f"{report.rejected:,} rejected: {reasons}"
    if report.same_time:
        yield f"{report.same_time:,} have the time of the one before (kept)"
    if report.dropped:
        yield f"{report.dropped:,} older routine readings gave way (the buffer is full)"
    if report.refused:
        yield f"{report.refused:,} refused for want of room; alerts are kept"
    if not report.sealed:
        yield "not sealed: this place has no key (dunes keygen)"
