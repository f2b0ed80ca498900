"""Open the sealed frames of a stream that may still grow."""

from dataclasses import dataclass, field

from dunes.buffer.keyrecords import key_records
from dunes.buffer.store import Buffer, Stream
from dunes.crypto.errors import Untrusted
from dunes.crypto.framekeys import FrameOpener


@dataclass(slots=True)
class StreamOpener:
    """Opens frames of one stream; key records are fetched when a frame first names them.

    Attributes:
        buffer: where the stream is stored.
        stream: whose frames these are.
        opener: holds the private keys, and the senders that are believed.
    """

    buffer: Buffer
    stream: Stream
    opener: FrameOpener
    _missing: set[bytes] = field(default_factory=set)

    def open(self, key_id: bytes, salt: bytes, body: bytes, aad: bytes, /) -> bytes:
        """Open one frame's body.

        Raises:
            UnknownKey, NotARecipient, Tampered: as `FrameOpener.open`.
        """
        if not self.opener.knows(key_id) and key_id not in self._missing:
            self.fetch()
            if not self.opener.knows(key_id):
                self._missing.add(key_id)  # a frame is never stored before its key record
        return self.opener.open(key_id, salt, body, aad)

    def fetch(self) -> None:
        """Read the stream's key records and grants."""
        with self.buffer.reading() as connection:
            records = key_records(connection, self.stream.id)
        for _, record in records:
            try:
                self.opener.add_record(record)
            except Untrusted:
                continue  # its frames will say that their key is not known
