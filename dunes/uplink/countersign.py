"""The receipts' log and the ground station's countersignature under its checkpoints.

A gateway could rewrite its own log. A checkpoint that the ground station countersigned
it cannot take back: the ground station signs only what grew from what it signed before.
The request and its rules are in `dunes.mu.witness`; here it meets the uplink.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

from dunes.crypto.signing import VerifyKey
from dunes.errors import PeerError
from dunes.mu.checkpoint import read_checkpoint
from dunes.mu.errors import BadNote, NotTheSame
from dunes.mu.log import COSIGNED, TransparencyLog
from dunes.mu.note import kid_of_name, name_of, read_note, read_signature
from dunes.mu.witness import OldSize, Witness, read_request
from dunes.uplink.enroll import Enrolled, list_gateways
from dunes.uplink.ground import GroundStation

FOLDER = "witness"
TRIES = 3
"""The sizes are put right with the second request; what goes on after that is no accident."""


def countersign(station: GroundStation, gateway: Enrolled, body: bytes) -> bytes:
    """Answer a gateway's request at the ground station: give the signature line.

    Each gateway has its own memory of logs, so that none can stand in another's way.

    Raises:
        BadNote, BadSignature: not a request, or not signed by the enrolled key.
        OldSize: the gateway must start from another size.
        NotTheSame: the log shrank or was rewritten since.
        PeerError: the log is another gateway's.
    """
    origin = read_checkpoint(read_note(read_request(body).note).text).origin
    for other in list_gateways(station.buffer):
        if other.gateway != gateway.gateway and name_of(other.kid) == origin:
            raise PeerError(f"log {origin} belongs to gateway {other.gateway}")
    witness = Witness(station.data / FOLDER / gateway.gateway, station.signer, station.public.raw)
    return witness.answer(
        body,
        lambda kid: gateway.key if kid == gateway.kid else None,
        station.clock.unix_us() // 1_000_000,
    )


async def bring_log(
    directory: Path, key: VerifyKey, request: Callable[[bytes], Awaitable[bytes]]
) -> int | None:
    """Have a log's checkpoint countersigned, if there is a new one; give its size.

    Args:
        directory: the log's; it must exist.
        key: of the ground station.
        request: carries a request there and its answer back.

    Raises:
        NotFound, LogDamaged: the log here.
        NotTheSame: the ground station has countersigned more than there is here.
        BadNote, BadSignature: the answer is no countersignature by that key.
    """
    with TransparencyLog(directory) as log:
        old = _countersigned(log, key.kid)
        for _ in range(TRIES):
            checkpoint = log.note()
            size = 0 if checkpoint is None else read_checkpoint(checkpoint.text).size
            if old > size:
                raise NotTheSame(
                    f"the ground station has countersigned {old} receipts of log {log.origin}, "
                    f"here are {size}: the log was set back, or another gateway writes it",
                    hint="dunes log verify",
                    code="log-shrunk",
                )
            if size == _countersigned(log, key.kid):
                return None
            made = log.request_cosignature(old)
            if made is None:
                return None
            note, body = made
            try:
                answer = await request(body)
            except OldSize as e:
                old = e.size
                continue
            try:
                line = read_signature(answer.decode("utf-8").removesuffix("\n"))
            except UnicodeDecodeError as e:
                raise BadNote("the answer is no signature line") from e
            log.add_cosignature(note, line, lambda kid: key if kid == key.kid else None)
            return read_checkpoint(note.text).size
    raise PeerError("the ground station names another size of the log each time")


def _countersigned(log: TransparencyLog, kid: str) -> int:
    """Give the size that a ground station countersigned last, by what is kept here."""
    note = log.note(COSIGNED)
    if note is None or kid not in {kid_of_name(s.name) for s in note.signatures}:
        return 0
    return read_checkpoint(note.text).size
