"""The keys that a buffer is used with, from this place's identity and trust store.

Frames are sealed to this gateway and to every ground station that is trusted here. One
that is trusted later is *granted* what was sealed before: its key record is made from
the gateway's own. Heads are always signed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import urandom

from dunes.buffer.frame import Opener, Sealer
from dunes.buffer.keyrecords import add_key_records
from dunes.buffer.opening import StreamOpener
from dunes.buffer.records import Verifier
from dunes.buffer.store import Buffer, Stream
from dunes.clock import SYSTEM_CLOCK
from dunes.crypto.errors import NoIdentity, NotARecipient, WrongPassphrase
from dunes.crypto.framekeys import SECRET_BYTES, FrameOpener, FrameSealer
from dunes.crypto.identity import (
    Identity,
    ensure_identity,
    load_identity,
    public_documents,
)
from dunes.crypto.keyrecord import make_key_record
from dunes.crypto.truststore import Role, TrustStore
from dunes.crypto.xwing import Recipient
from dunes.settings import Settings


@dataclass(frozen=True, slots=True)
class Keyring:
    """Who we are and whom we believe.

    Attributes:
        identity: this place's keys; None if it has none yet, or they stay locked.
        trusted: the keys believed here.
        own: the public keys under which this place ever signed, by key id.
    """

    identity: Identity | None
    trusted: TrustStore
    own: Mapping[str, Verifier]

    @classmethod
    def load(
        cls, settings: Settings, *, create: bool = False, public_only: bool = False
    ) -> "Keyring":
        """Load the keys of this installation.

        Args:
            settings: as loaded.
            create: make an identity if there is none.
            public_only: private keys are not needed: ones that do not open stay locked.

        Raises:
            KeyRefused, WrongPassphrase: there is one, but it does not open.
        """
        paths = settings.paths
        try:
            identity = ensure_identity(paths) if create else load_identity(paths)
        except NoIdentity:
            identity = None
        except WrongPassphrase:
            if not public_only:
                raise
            identity = None
        own: dict[str, Verifier] = {d.kid: d.verify_key for d in public_documents(paths)}
        if identity is not None:
            own |= {key.kid: key for key in identity.own_senders}
        return cls(identity, TrustStore.at(paths), own)

    def _ground_stations(self, identity: Identity) -> list[Recipient]:
        """Give whom to seal to, besides ourselves."""
        found = self.trusted.recipients(SYSTEM_CLOCK.unix_us(), Role.GROUND_STATION)
        return [recipient for kid, recipient in found.items() if kid != identity.kid]

    def make_sealer(self, stream: Stream) -> Sealer | None:
        """Begin a seal epoch for a stream; None for a place without a key."""
        if self.identity is None:
            return None
        return FrameSealer.new(
            [self.identity.recipient.public, *self._ground_stations(self.identity)],
            self.identity.signing,
            stream.table,
            urandom(SECRET_BYTES),
            SYSTEM_CLOCK.unix_us(),
        )

    def opener_for(self, buffer: Buffer) -> Callable[[Stream], Opener | None]:
        """Give what opens the sealed frames of each stream of a buffer."""
        if self.identity is None:
            return lambda _: None
        gateways = self.trusted.senders(SYSTEM_CLOCK.unix_us(), Role.GATEWAY)
        identity = self.identity

        return lambda stream: StreamOpener(
            buffer, stream, identity.frame_opener(gateways.values())
        )

    def grant(self, buffer: Buffer, table: str) -> int:
        """Let ground stations that are trusted now open what was sealed before they were.

        Args:
            buffer: opened with this gateway's name.
            table: folded name of the table.

        Returns:
            How many seal epochs were granted to somebody.
        """
        if self.identity is None:
            return 0
        stations = self._ground_stations(self.identity)
        granted = 0
        for stream in buffer.streams(table, buffer.gateway) if stations else []:
            sealed = StreamOpener(buffer, stream, self.identity.frame_opener())
            sealed.fetch()
            rows = [
                record
                for key_id in sealed.opener.epochs()
                if (record := self._grant(sealed.opener, key_id, stations)) is not None
            ]
            if rows:
                with buffer.writing() as connection:
                    add_key_records(connection, stream.id, rows)
            granted += len(rows)
        return granted

    def _grant(
        self, opener: FrameOpener, key_id: bytes, stations: list[Recipient]
    ) -> bytes | None:
        """Make the grant of one seal epoch to those who cannot open it yet, if any."""
        known = opener.recipients(key_id)
        missing = [station for station in stations if station.kid not in known]
        if self.identity is None or not missing:
            return None
        epoch = opener.record(key_id)
        try:
            secret = opener.unwrap(key_id)
        except NotARecipient:
            return None  # sealed under a key that is not here any more
        return make_key_record(
            missing,
            self.identity.signing,
            epoch.stream,
            secret,
            SYSTEM_CLOCK.unix_us(),
            grants=epoch.record_hash,
        )

    def verifiers(self) -> Mapping[str, Verifier]:
        """Give the public keys that may sign lane heads here, by key id."""
        trusted = self.trusted.senders(SYSTEM_CLOCK.unix_us(), Role.GATEWAY)
        return {**trusted, **self.own}
