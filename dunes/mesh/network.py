"""Network PDUs: sealed, hidden, found again among many subnets.

    IVI and NID (1) | hidden: CTL and TTL (1), SEQ (3), SRC (2) | sealed: DST (2), transport
    PDU (1-16) | NetMIC (4, or 8 for control)

Source: Mesh Protocol 1.1, 3.4.4, 3.9.7.2, 3.9.7.3; proxy configuration: 6.5.
"""

from typing import NamedTuple

from cryptography.exceptions import InvalidTag

from dunes.errors import LocalError
from dunes.mesh.address import SEQ_END, TTL_MAX, UNASSIGNED, is_unicast, is_virtual
from dunes.mesh.errors import BadPdu, NotAuthentic
from dunes.mesh.keyring import KeyRing
from dunes.mesh.keys import Credentials
from dunes.mesh.toolbox import network_nonce, proxy_nonce

HEADER_END = 7
PDU_BYTES_MIN = 14
"""IVI and NID, header, DST, one octet, NetMIC of 4."""
PDU_BYTES_MAX = 29
PROXY_PDU_BYTES_MAX = 29
TRANSPORT_BYTES_MAX = 16
CONTROL_TRANSPORT_BYTES_MAX = 12
MIC_SHORT, MIC_LONG = 4, 8
DST_BYTES = 2


class NetworkPdu(NamedTuple):
    """A network PDU in the clear.

    Attributes:
        ctl: control, not access.
        ttl: 0 to 127.
        seq: 24 bits.
        src: unicast address.
        dst: any but unassigned (unassigned in proxy configuration).
        transport: lower transport PDU, 1 to 16 bytes.
        iv_index: the one it was sent with.
        net_index: the subnet it was received in.
        friend: sealed by a friendship's credentials.
    """

    ctl: bool
    ttl: int
    seq: int
    src: int
    dst: int
    transport: bytes
    iv_index: int
    net_index: int = 0
    friend: bool = False


def encode_network(credentials: Credentials, pdu: NetworkPdu, *, proxy: bool = False) -> bytes:
    """Seal and hide a network PDU.

    Args:
        credentials: of the subnet, or of a friendship.
        pdu: in the clear.
        proxy: a proxy configuration message, with its nonce.

    Raises:
        LocalError: a field is out of range.
    """
    _check(pdu, proxy)
    header = (
        bytes([pdu.ctl << 7 | pdu.ttl]) + pdu.seq.to_bytes(3, "big") + pdu.src.to_bytes(2, "big")
    )
    nonce = (proxy_nonce if proxy else network_nonce)(header, pdu.iv_index)
    ccm = credentials.ccm_long if pdu.ctl else credentials.ccm_short
    sealed = ccm.encrypt(nonce, pdu.dst.to_bytes(2, "big") + pdu.transport, None)
    mask = credentials.privacy_block(pdu.iv_index, sealed[:7])
    hidden = int.from_bytes(header, "big") ^ int.from_bytes(mask[:6], "big")
    first = (pdu.iv_index & 1) << 7 | credentials.nid
    return bytes([first]) + hidden.to_bytes(6, "big") + sealed


def _check(pdu: NetworkPdu, proxy: bool) -> None:
    room = CONTROL_TRANSPORT_BYTES_MAX if pdu.ctl else TRANSPORT_BYTES_MAX
    if proxy:
        room = TRANSPORT_BYTES_MAX
    if not 0 < len(pdu.transport) <= room:
        raise LocalError(f"a transport PDU has 1 to {room} bytes, not {len(pdu.transport)}")
    if not 0 <= pdu.ttl <= TTL_MAX or not 0 <= pdu.seq < SEQ_END:
        raise LocalError(f"TTL {pdu.ttl} or SEQ {pdu.seq} is out of range")
    if not is_unicast(pdu.src):
        raise LocalError(f"source {pdu.src:#06x} is not a unicast address")


def decode_network(
    keys: KeyRing, iv_index: int, data: bytes, *, proxy: bool = False
) -> NetworkPdu:
    """Open a network PDU with whatever key of ours fits.

    Args:
        keys: the key ring.
        iv_index: our current one; the PDU's own is this or one less, by its IVI bit.
        data: as received, 14 to 29 bytes.
        proxy: a proxy configuration message.

    Raises:
        BadPdu: wrong length or address.
        NotAuthentic: no key of ours fits: mostly another network's.
    """
    if not PDU_BYTES_MIN <= len(data) <= PDU_BYTES_MAX:
        raise BadPdu(f"a network PDU has 14 to 29 bytes, not {len(data)}")
    first = data[0]
    if (iv_index & 1) != first >> 7:
        iv_index -= 1
        if iv_index < 0:
            raise BadPdu("a network PDU from before the first IV index")
    for candidate in keys.candidates(first & 0x7F):
        credentials = candidate.credentials
        mask = credentials.privacy_block(iv_index, data[7:14])
        header = (int.from_bytes(data[1:7], "big") ^ int.from_bytes(mask[:6], "big")).to_bytes(
            6, "big"
        )
        ctl = header[0] > TTL_MAX
        if ctl and len(data) < PDU_BYTES_MIN + MIC_LONG - MIC_SHORT:
            continue
        nonce = (proxy_nonce if proxy else network_nonce)(header, iv_index)
        ccm = credentials.ccm_long if ctl else credentials.ccm_short
        try:
            clear = ccm.decrypt(nonce, data[7:], None)
        except InvalidTag:
            continue
        pdu = NetworkPdu(
            ctl,
            header[0] & TTL_MAX,
            int.from_bytes(header[1:4], "big"),
            int.from_bytes(header[4:6], "big"),
            int.from_bytes(clear[:2], "big"),
            clear[2:],
            iv_index,
            candidate.net_index,
            candidate.friend,
        )
        _refuse(pdu, proxy)
        return pdu
    raise NotAuthentic("no key of ours fits this network PDU")


def _refuse(pdu: NetworkPdu, proxy: bool) -> None:
    """Refuse addresses that the specification forbids, though the MIC fits (3.4.3)."""
    if not is_unicast(pdu.src):
        raise BadPdu(f"a network PDU from {pdu.src:#06x}, which is no unicast address")
    if proxy:
        if not pdu.ctl or pdu.ttl or pdu.dst != UNASSIGNED:
            raise BadPdu("a proxy configuration PDU with a TTL, a destination or no CTL")
    elif pdu.dst == UNASSIGNED or (pdu.ctl and is_virtual(pdu.dst)):
        raise BadPdu(f"a network PDU to {pdu.dst:#06x}")
