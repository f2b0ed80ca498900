"""Access messages: opcodes of one, two or three octets; parameters little-endian.

    0xxxxxxx                     one octet; 0x7F is reserved
    10xxxxxx xxxxxxxx            two, as a number 0x8000 to 0xBFFF
    11xxxxxx company (LE)        three, vendor: as a number of the three octets in this order

Source: Mesh Protocol 1.1, 3.7.3.
"""

from typing import NamedTuple

from dunes.errors import LocalError
from dunes.mesh.errors import BadPdu

ONE_MAX = 0x7E
RESERVED = 0x7F
TWO_MIN, TWO_MAX = 0x8000, 0xBFFF
THREE_MIN, THREE_MAX = 0xC00000, 0xFFFFFF
THREE_BITS = 0xC0


class AccessMessage(NamedTuple):
    """An authentic access message.

    Attributes:
        src: the element that sent it.
        dst: an address of ours, or a group, or a virtual address.
        opcode: as a number, see the module.
        parameters: the octets after the opcode.
        app_index: the AppKey that sealed it; None: a device key.
        net_index: the subnet it came in.
        ttl: as received.
        label: the Label UUID of a virtual destination.
        seq: SEQ of the first segment.
        iv_index: the IV index it was sent with.
    """

    src: int
    dst: int
    opcode: int
    parameters: bytes
    app_index: int | None
    net_index: int
    ttl: int
    label: bytes | None
    seq: int
    iv_index: int


def encode_opcode(opcode: int) -> bytes:
    """Give the octets of an opcode.

    Raises:
        LocalError: no such opcode can be.
    """
    if 0 <= opcode <= ONE_MAX:
        return bytes([opcode])
    if TWO_MIN <= opcode <= TWO_MAX:
        return opcode.to_bytes(2, "big")
    if THREE_MIN <= opcode <= THREE_MAX:
        return opcode.to_bytes(3, "big")
    raise LocalError(f"{opcode:#x} is no opcode")


def vendor_opcode(number: int, company: int) -> int:
    """Give the number of a vendor's opcode (6 bits) under a company identifier."""
    return int.from_bytes(bytes([THREE_BITS | number]) + company.to_bytes(2, "little"), "big")


def split_opcode(payload: bytes) -> tuple[int, bytes]:
    """Part a payload into opcode and parameters.

    Raises:
        BadPdu: the opcode is cut off, or reserved.
    """
    if not payload or payload[0] == RESERVED:
        raise BadPdu("an access payload without an opcode")
    size = (1, 1, 2, 3)[payload[0] >> 6]
    if len(payload) < size:
        raise BadPdu("an access payload with half an opcode")
    return int.from_bytes(payload[:size], "big"), payload[size:]
