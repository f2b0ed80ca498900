"""Lower transport PDUs: whole or segmented, access or control, and acknowledgements.

    access   0, AKF, AID(6)    | upper PDU, up to 15
             1, AKF, AID(6)    | SZMIC(1) SeqZero(13) SegO(5) SegN(5) | 12 a segment
    control  0, opcode(7)      | up to 11
             1, opcode(7)      | 0(1) SeqZero SegO SegN | 8 a segment
    ack      opcode 0          | OBO(1) SeqZero(13) 0(2) | AckedSegments(4)

Source: Mesh Protocol 1.1, 3.5.2, 3.5.3.
"""

from dataclasses import dataclass

from dunes.errors import LocalError
from dunes.mesh.errors import BadPdu

SEGMENTED = 0x80
AKF = 0x40
OPCODE_MASK, AID_MASK = 0x7F, 0x3F
ACCESS_SEGMENT_BYTES, CONTROL_SEGMENT_BYTES = 12, 8
UNSEGMENTED_ACCESS_BYTES = 15
"""Upper transport octets, TransMIC included: 11 of access payload."""
UNSEGMENTED_CONTROL_BYTES = 11
ACCESS_UPPER_BYTES_MIN = 5
"""One opcode octet and a TransMIC."""
SEGMENTS_MAX = 32
SEQ_ZERO_MASK = 0x1FFF
HEADER_BYTES = 4
ACK_BYTES = 7
ACK_OPCODE = 0


@dataclass(frozen=True, slots=True)
class Access:
    """An access message in one piece.

    Attributes:
        akf: sealed by an AppKey, not a device key.
        aid: hint at the AppKey; 0 with a device key.
        upper: upper transport PDU.
    """

    akf: bool
    aid: int
    upper: bytes

    def encode(self) -> bytes:
        """Give the lower transport PDU."""
        return bytes([self.akf * AKF | self.aid]) + self.upper


@dataclass(frozen=True, slots=True)
class Control:
    """A control message in one piece."""

    opcode: int
    parameters: bytes

    def encode(self) -> bytes:
        """Give the lower transport PDU."""
        return bytes([self.opcode]) + self.parameters


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment.

    Attributes:
        ctl: of a control message.
        first: the header's low 7 bits: AKF and AID, or the opcode.
        szmic: the TransMIC has 8 octets (access only).
        seq_zero: low 13 bits of the SEQ of segment 0.
        seg_o: its number.
        seg_n: the last one's number.
        part: its octets.
    """

    ctl: bool
    first: int
    szmic: bool
    seq_zero: int
    seg_o: int
    seg_n: int
    part: bytes

    def encode(self) -> bytes:
        """Give the lower transport PDU."""
        bits = self.szmic << 23 | self.seq_zero << 10 | self.seg_o << 5 | self.seg_n
        return bytes([SEGMENTED | self.first]) + bits.to_bytes(3, "big") + self.part


@dataclass(frozen=True, slots=True)
class Ack:
    """An acknowledgement of segments.

    Attributes:
        obo: a friend answers on behalf of the destination.
        seq_zero: which message.
        acked: bit n stands for segment n; 0 cancels the transfer.
    """

    obo: bool
    seq_zero: int
    acked: int

    def encode(self) -> bytes:
        """Give the lower transport PDU."""
        head = (self.obo << 15 | self.seq_zero << 2).to_bytes(2, "big")
        return bytes([ACK_OPCODE]) + head + self.acked.to_bytes(4, "big")


Lower = Access | Control | Segment | Ack


def parse_lower(ctl: bool, data: bytes) -> Lower:
    """Read a lower transport PDU.

    Args:
        ctl: the network PDU's CTL bit.
        data: 1 to 16 bytes.

    Raises:
        BadPdu: a length or a segment number that cannot be.
    """
    if data[0] & SEGMENTED:
        return _segment(ctl, data)
    if not ctl:
        if len(data) - 1 < ACCESS_UPPER_BYTES_MIN:
            raise BadPdu(f"an access PDU of {len(data)} bytes")
        return Access(bool(data[0] & AKF), data[0] & AID_MASK, data[1:])
    if data[0] != ACK_OPCODE:
        return Control(data[0], data[1:])
    if len(data) != ACK_BYTES:
        raise BadPdu(f"a segment acknowledgement of {len(data)} bytes, not 7")
    head = int.from_bytes(data[1:3], "big")
    return Ack(bool(head >> 15), head >> 2 & SEQ_ZERO_MASK, int.from_bytes(data[3:7], "big"))


def _segment(ctl: bool, data: bytes) -> Segment:
    size = CONTROL_SEGMENT_BYTES if ctl else ACCESS_SEGMENT_BYTES
    part = data[HEADER_BYTES:]
    bits = int.from_bytes(data[1:HEADER_BYTES], "big")
    seg_o, seg_n = bits >> 5 & 0x1F, bits & 0x1F
    if seg_o > seg_n or not 0 < len(part) <= size or (seg_o < seg_n and len(part) != size):
        raise BadPdu(f"segment {seg_o} of {seg_n} with {len(part)} bytes")
    szmic = not ctl and bool(bits >> 23)
    return Segment(
        ctl, data[0] & OPCODE_MASK, szmic, bits >> 10 & SEQ_ZERO_MASK, seg_o, seg_n, part
    )


def split(upper: bytes, *, ctl: bool, first: int, szmic: bool, seq_auth: int) -> list[Segment]:
    """Cut an upper transport PDU into segments.

    Args:
        upper: up to 384 bytes (control: 256).
        ctl: control message.
        first: AKF and AID, or the opcode.
        szmic: the TransMIC has 8 octets.
        seq_auth: SEQ of the first segment.

    Raises:
        LocalError: it needs more than 32 segments, or is empty.
    """
    size = CONTROL_SEGMENT_BYTES if ctl else ACCESS_SEGMENT_BYTES
    parts = [upper[at : at + size] for at in range(0, len(upper), size)]
    if not 0 < len(parts) <= SEGMENTS_MAX:
        raise LocalError(f"{len(upper)} bytes do not fit into 1 to 32 segments")
    seq_zero, last = seq_auth & SEQ_ZERO_MASK, len(parts) - 1
    return [
        Segment(ctl, first, szmic, seq_zero, number, last, part)
        for number, part in enumerate(parts)
    ]


def seq_auth_of(seq: int, seq_zero: int) -> int:
    """Find the SEQ of segment 0 from that of any segment (3.5.3.1).

    Raises:
        BadPdu: it would be negative.
    """
    found = seq - ((seq - seq_zero) & SEQ_ZERO_MASK)
    if found < 0:
        raise BadPdu(f"SeqZero {seq_zero} with SEQ {seq}")
    return found
