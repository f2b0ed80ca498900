"""Issue a receipt: draft it, sign it, put it into the log, sign the log's new state."""

from dataclasses import dataclass

from dunes.mu.errors import Signer
from dunes.mu.log import TransparencyLog
from dunes.mu.receipt import Draft, sealed


@dataclass(frozen=True, slots=True)
class Issued:
    """A receipt that was issued.

    Attributes:
        data: the file.
        envelope: its DSSE envelope, as in the log.
        kid: who signed it; None if nobody.
        log_index: where it stands in the log; None if it was not logged.
        log_origin: which log.
        log_size: entries in the log's new checkpoint.
    """

    data: bytes
    envelope: bytes
    kid: str | None
    log_index: int | None = None
    log_origin: str | None = None
    log_size: int | None = None


def issue(
    made: Draft, signer: Signer | None, public: bytes = b"", log: TransparencyLog | None = None
) -> Issued:
    """Issue a receipt.

    When this returns with a log, the envelope is on disk there. If the process dies
    in between, the log may hold an envelope whose file was never written; never the
    reverse.

    Args:
        made: from `draft`.
        signer: None leaves it unsigned, and out of the log.
        public: the signer's raw public key, for the log's checkpoint.
        log: the log it goes into; None for none.
    """
    if signer is None or log is None:
        data, envelope = sealed(made, signer)
        return Issued(data, envelope, signer.kid if signer is not None else None)
    kept: list[tuple[bytes, bytes]] = []

    def make(index: int) -> bytes:
        kept.append(sealed(made, signer, log_index=index, log_origin=log.origin))
        return kept[-1][1]

    [index] = log.append([make])
    data, envelope = kept[-1]
    log.sign(signer, public)
    return Issued(data, envelope, signer.kid, index, log.origin, log.size)
