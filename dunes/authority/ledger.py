"""The trust ledger on disk: receipts in the transparency log, and a summary that is quick to read.

The log is the truth: each change is an entry that this place signed, whose statement has
`trust` with the events. `trust.json` sums up the first N entries; it is brought up to date
from the log, and made anew whenever it does not fit the log.
"""

import contextlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dunes.authority.record import Recorder
from dunes.authority.standing import Event, Ledger, Tally, read_event
from dunes.crypto.errors import BadSignature
from dunes.crypto.identity import public_documents
from dunes.errors import DataError, NotFound
from dunes.mu.dsse import read_envelope
from dunes.mu.errors import BadReceipt, Verifier
from dunes.mu.issue import Issued
from dunes.mu.log import TransparencyLog, log_directory
from dunes.mu.statement import read_statement
from dunes.paths import Paths, write_atomic

FILE = "trust.json"
NAME = "trust-ledger.json"
MEMBER = "trust"
SCHEMA = "dunes.trust-summary/1"
EVENTS_MAX = 1000
"""In one entry, which has to stay below the size of an envelope."""


def summary_path(paths: Paths) -> Path:
    """Say where the summary is kept."""
    return paths.state / FILE


def load_ledger(paths: Paths) -> Ledger:
    """Give what the log adds up to; an empty ledger where there is no log.

    Raises:
        LogDamaged: the log is not what was written: no standing is known then.
    """
    try:
        log = TransparencyLog(log_directory(paths.state))
    except NotFound:
        return Ledger()
    with log:
        size = log.size
        known = _read_summary(paths, log)
        ledger, seen = known if known is not None else (Ledger(), 0)
        if seen < size:
            find = {doc.kid: doc.verify_key for doc in public_documents(paths)}.get
            for index in range(seen, size):
                ledger.add(events_of(log.entry(index), log.origin, find))
            _write_summary(paths, ledger, size, log.root(size))
        return ledger


def last_known(paths: Paths) -> Ledger:
    """Give the summary as it lies there, for when the log cannot be read.

    What was known last counts until somebody mends the log: a gateway that cannot read its
    log still has to deliver what it holds, and who was cut off stays so.
    """
    try:
        return _summary(json.loads(summary_path(paths).read_bytes()))
    except (OSError, ValueError, TypeError, KeyError):
        return Ledger()


def replay(paths: Paths) -> Ledger:
    """Add the whole log up again, whatever the summary says."""
    summary_path(paths).unlink(missing_ok=True)
    return load_ledger(paths)


def events_of(entry: bytes, origin: str, find: Callable[[str], Verifier | None]) -> list[Event]:
    """Give the events of a log entry; none, if it is about something else.

    Args:
        entry: as the log has it.
        origin: the log's name.
        find: gives the key of a key id of this place: only what it signed counts.
    """
    try:
        envelope = read_envelope(entry)
        statement = read_statement(envelope.payload)
        body = (statement.more or {}).get(MEMBER)
        if not isinstance(body, list) or statement.source_name != NAME:
            return []
        if statement.log_origin != origin or not envelope.signers(find):
            return []
    except (BadReceipt, BadSignature):
        return []
    found = []
    for each in body:
        try:
            found.append(read_event(each))
        except DataError:
            continue  # of a later version of this program; what it says is not for us
    return found


def append_events(recorder: Recorder, events: list[Event]) -> list[Issued]:
    """Sign events and enter them in the log; they hold when this returns."""
    done = []
    for first in range(0, len(events), EVENTS_MAX):
        body = [event.encode() for event in events[first : first + EVENTS_MAX]]
        source = json.dumps(body, indent=1, sort_keys=True).encode("utf-8") + b"\n"
        done.append(recorder.record(NAME, source, {MEMBER: body}))
    load_ledger(recorder.paths)
    return done


def _read_summary(paths: Paths, log: TransparencyLog) -> tuple[Ledger, int] | None:
    """Read the summary if it is one of this log."""
    try:
        body: dict[str, Any] = json.loads(summary_path(paths).read_bytes())
        size = int(body["size"])
        if body["schema"] != SCHEMA or size > log.size or log.root(size).hex() != body["root"]:
            return None
        return _summary(body), size
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _summary(body: dict[str, Any]) -> Ledger:
    tallies = {name: Tally(**tally) for name, tally in body["tallies"].items()}
    return Ledger(tallies, dict(body["revoked"]), int(body["events"]))


def _write_summary(paths: Paths, ledger: Ledger, size: int, root: bytes) -> None:
    body = {
        "schema": SCHEMA,
        "size": size,
        "root": root.hex(),
        "events": ledger.events,
        "tallies": {name: asdict(tally) for name, tally in ledger.tallies.items()},
        "revoked": ledger.revoked,
    }
    data = json.dumps(body, sort_keys=True).encode("utf-8") + b"\n"
    with contextlib.suppress(OSError):  # whoever may only read adds up again the next time
        write_atomic(summary_path(paths), data)
