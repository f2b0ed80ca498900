"""What the ground station answers at each address, once it is known who asks.

Every function may wait for the disk, so call them from a thread.
"""

import base64
import shutil
from collections.abc import Callable

from dunes import __version__
from dunes.buffer.quota import live_bytes
from dunes.errors import StorageError
from dunes.uplink.answers import Answer, as_json
from dunes.uplink.countersign import countersign
from dunes.uplink.enroll import Enrolled
from dunes.uplink.ground import HASHES_MAX, GroundStation
from dunes.uplink.protocol import BATCH_MAX_BYTES, LANES, encode_batch
from dunes.uplink.receipt import Receipt
from dunes.uplink.request import Query, asked, epoch_of, number_of

# -- a stream -------------------------------------------------------------------------------


def _as_batch(receipt: Receipt) -> Answer:
    return Answer(200, encode_batch([receipt.encoded]), b"application/vnd.dunes.batch")


def deliver(
    station: GroundStation, gateway: Enrolled, table: str, epoch: bytes, body: bytes
) -> Answer:
    """Store a batch; answer with the receipt."""
    receipt, _ = station.take(gateway, table, epoch, body)
    return _as_batch(receipt)


def _receipt(station: GroundStation, gateway: str, table: str, query: Query) -> Answer:
    return _as_batch(station.receipt(gateway, table, epoch_of(asked(query, "epoch"))))


def _heads(station: GroundStation, gateway: str, table: str, _query: Query) -> Answer:
    rows = [
        {
            "epoch": stream.epoch.hex(),
            "lanes": {
                str(lane): {
                    "cum": held.said.cum,
                    "cum_msg": held.said.cum_msg,
                    "cum_hash": held.said.cum_hash.hex(),
                    "max_seen": held.said.max_seen,
                    "gaps": held.said.gaps,
                    "known_to": held.said.known_to,
                    "frames": held.frames,
                    "readings": held.readings,
                    "dropped": held.dropped,
                    "head": None
                    if held.head is None
                    else base64.b64encode(held.head.encoded).decode(),
                }
                for lane, held in lanes.items()
            },
        }
        for stream, lanes in station.streams_of(gateway, table)
    ]
    kid = station.public.kid
    return as_json("dunes.ground-heads/1", gateway=gateway, table=table, station=kid, streams=rows)


def _hashes(station: GroundStation, gateway: str, table: str, query: Query) -> Answer:
    epoch = epoch_of(asked(query, "epoch"))
    lane = number_of(asked(query, "lane"), max(LANES))
    after_no = number_of(asked(query, "after") or "0", 2**63 - 1)
    found = station.hashes(gateway, table, epoch, lane, after_no, HASHES_MAX)
    rows = [[no, digest.hex()] for no, digest in found]
    return as_json("dunes.ground-hashes/1", lane=lane, hashes=rows)


STREAM_READS: dict[str, Callable[[GroundStation, str, str, Query], Answer]] = {
    "receipt": _receipt,
    "heads": _heads,
    "hashes": _hashes,
}
"""What can be read of a stream, by the last part of the path."""

# -- a gateway ------------------------------------------------------------------------------


def countersigned(station: GroundStation, gateway: Enrolled, body: bytes) -> Answer:
    """Countersign a gateway's checkpoint; answer with the signature line."""
    return Answer(200, countersign(station, gateway, body), b"text/plain; charset=utf-8")


def signs_with(gateway: Enrolled, kid: str) -> Answer:
    """Answer with the key that a gateway signs with from now on."""
    return as_json("dunes.ground-key/1", gateway=gateway.gateway, kid=kid)


# -- the station itself ---------------------------------------------------------------------


def identity(station: GroundStation) -> Answer:
    """Answer with the key that signs receipts."""
    key = station.public
    return as_json(
        "dunes.station/1",
        kid=key.kid,
        public_key=key.pem,
        document=station.document.decode("utf-8"),
        version=__version__,
    )


def health(station: GroundStation) -> Answer:
    """Answer whether it can store; for the writing thread, as it begins a transaction."""
    used = _probe(station)
    free = shutil.disk_usage(station.data).free
    quota = station.quota_bytes
    healthy = used is not None and used < quota and free > BATCH_MAX_BYTES
    answer = as_json(
        "dunes.ground-health/1",
        status="ok" if healthy else "failing" if used is None else "full",
        writable=used is not None,
        used_bytes=used,
        quota_bytes=quota,
        free_bytes=free,
        station=station.public.kid,
        version=__version__,
    )
    return answer if healthy else answer._replace(status=503)


def _probe(station: GroundStation) -> int | None:
    """Make sure that a transaction can be begun; give the bytes in use, or None."""
    try:
        with station.buffer.writing() as connection:
            return live_bytes(connection)
    except StorageError:
        return None
