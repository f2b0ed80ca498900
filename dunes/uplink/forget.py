"""What a gateway's buffer knows of its destinations, and how to forget one."""

from sqlalchemy import Connection, bindparam, delete, select

from dunes.buffer import schema
from dunes.buffer.read import chain_point
from dunes.buffer.statements import Prepared
from dunes.buffer.store import Buffer, Lane
from dunes.uplink.errors import BadReceipt
from dunes.uplink.receipt import parse_receipt

_R, _A = schema.receipt.c, schema.ack.c
_ACKS = Prepared(
    select(_A.lane, _A.cum_no).where(
        _A.stream_id == bindparam("of_stream"), _A.destination == bindparam("of_destination")
    )
)


def acknowledged(connection: Connection, stream_id: int, destination: str) -> dict[int, int]:
    """Give what a destination acknowledged of a stream, by lane."""
    rows = _ACKS(connection, of_stream=stream_id, of_destination=destination).fetchall()
    return {int(lane): int(cum_no) for lane, cum_no in rows}


def readings_up_to(connection: Connection, lane: Lane, no: int) -> int:
    """Give the number of the last reading in frame `no`, or in the oldest end if that is gone."""
    point = chain_point(connection, lane, no) if no > lane.base_no else None
    return lane.base_msg if point is None else int(point[1])


def receipt_kids(buffer: Buffer, destination: str) -> set[str]:
    """Give the keys that signed the receipts which are kept of a destination."""
    with buffer.reading() as connection:
        bodies = connection.execute(select(_R.body).where(_R.destination == destination)).scalars()
        kids = set()
        for body in bodies:
            try:
                kids.add(parse_receipt(bytes(body)).kid)
            except BadReceipt:
                continue  # a closed stream keeps none
    return kids


def forget_destination(buffer: Buffer, destination: str) -> None:
    """Forget what a destination acknowledged: it has everything to come."""
    with buffer.writing() as connection:
        connection.execute(delete(schema.receipt).where(_R.destination == destination))
        connection.execute(delete(schema.ack).where(_A.destination == destination))
