"""What a table still has to bring to a destination, counted in the buffer."""

from dunes.buffer.ack import last_receipt
from dunes.buffer.store import Buffer
from dunes.model import Priority
from dunes.uplink.forget import acknowledged, readings_up_to
from dunes.uplink.fork import CLOSED


def left_of(buffer: Buffer, table: str, destination: str) -> dict[int, tuple[int, int]]:
    """Give (frames, readings) by lane that a destination has not acknowledged.

    Readings are those still stored above what it acknowledged.
    """
    found = {int(lane): (0, 0) for lane in Priority}
    for stream in buffer.streams(table, buffer.gateway):
        with buffer.reading() as connection:
            kept = last_receipt(connection, stream.id, destination)
            if kept is not None and kept[0] >= CLOSED:
                continue
            acks = acknowledged(connection, stream.id, destination)
            for number, row in buffer.lanes(connection, stream).items():
                cum = acks.get(number, 0)
                frames = row.last_no - max(cum, row.base_no)
                readings = row.last_msg - readings_up_to(connection, row, cum)
                old = found[number]
                found[number] = old[0] + max(0, frames), old[1] + max(0, readings)
    return found
