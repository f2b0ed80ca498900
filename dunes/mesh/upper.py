"""Upper transport: access payloads sealed by AppKeys, device keys and labels.

Source: Mesh Protocol 1.1, 3.6.4, 3.9.7.1.
"""

from collections.abc import Iterable
from typing import NamedTuple

from cryptography.exceptions import InvalidTag

from dunes.errors import LocalError
from dunes.mesh.errors import BadPdu, NotAuthentic
from dunes.mesh.keys import UpperKey
from dunes.mesh.toolbox import upper_nonce

PAYLOAD_BYTES_MAX = 380
"""With the TransMIC of 4 octets; 376 with that of 8."""
MIC_SHORT, MIC_LONG = 4, 8
UNSEGMENTED_PAYLOAD_BYTES = 11


class Envelope(NamedTuple):
    """What the nonce of an access message is made of.

    Attributes:
        seq: SeqAuth: SEQ of the first, or only, segment.
        src: source.
        dst: destination.
        iv_index: the IV index it is sent with.
        szmic: TransMIC of 8 octets.
    """

    seq: int
    src: int
    dst: int
    iv_index: int
    szmic: bool = False

    def nonce(self, *, device: bool) -> bytes:
        """Build the nonce."""
        return upper_nonce(
            device=device,
            long_mic=self.szmic,
            seq=self.seq,
            src=self.src,
            dst=self.dst,
            iv_index=self.iv_index,
        )


class Opened(NamedTuple):
    """An access payload in the clear, and what opened it.

    Attributes:
        payload: opcode and parameters.
        key: the key that fitted.
        label: the Label UUID, with a virtual destination.
    """

    payload: bytes
    key: UpperKey
    label: bytes | None


def seal_access(
    key: UpperKey, payload: bytes, envelope: Envelope, label: bytes | None = None
) -> bytes:
    """Seal an access payload; gives the upper transport PDU.

    Raises:
        LocalError: the payload is empty or longer than 380 bytes.
    """
    room = PAYLOAD_BYTES_MAX - (MIC_LONG - MIC_SHORT if envelope.szmic else 0)
    if not 0 < len(payload) <= room:
        raise LocalError(f"an access payload has 1 to {room} bytes, not {len(payload)}")
    ccm = key.ccm_long if envelope.szmic else key.ccm_short
    return ccm.encrypt(envelope.nonce(device=key.device), payload, label)


def open_access(
    keys: Iterable[UpperKey],
    upper: bytes,
    envelope: Envelope,
    labels: Iterable[bytes | None] = (None,),
) -> Opened:
    """Open an upper transport PDU with the first key and label that fit.

    Args:
        keys: candidates: several AppKeys may share an AID.
        upper: the PDU.
        envelope: from the network layer and the segments.
        labels: candidates, as several share a virtual address; (None,) without.

    Raises:
        BadPdu: shorter than a TransMIC and an opcode.
        NotAuthentic: nothing fits.
    """
    mic = MIC_LONG if envelope.szmic else MIC_SHORT
    if len(upper) <= mic:
        raise BadPdu(f"an upper transport PDU of {len(upper)} bytes")
    tried = tuple(labels)
    for key in keys:
        ccm = key.ccm_long if envelope.szmic else key.ccm_short
        nonce = envelope.nonce(device=key.device)
        for label in tried:
            try:
                return Opened(ccm.decrypt(nonce, upper, label), key, label)
            except InvalidTag:
                continue
    raise NotAuthentic("no AppKey, device key or label of ours fits")
