"""The keys that a buffer is used with, from this place's identity and trust store.

Frames are sealed to this gateway and to every ground station that is trusted here;
where none is, they stay in clear (a frame that the ground station could never read
would be of no use), and check-buffer says so. Heads are always signed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import urandom

from dunes.buffer.frame import Opener, Sealer
from dunes.buffer.read import key_records
from dunes.buffer.records import Verifier
from dunes.buffer.store import Buffer, Stream
from dunes.clock import SYSTEM_CLOCK
from dunes.crypto.errors import NoIdentity, Untrusted, WrongPassphrase
from dunes.crypto.framekeys import SECRET_BYTES, FrameOpener, FrameSealer
from dunes.crypto.identity import (
    Identity,
    ensure_identity,
    load_identity,
    public_documents,
)
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

    @property
    def seals(self) -> bool:
        """Whether frames that are written now are sealed."""
        return self.identity is not None and bool(self._ground_stations(self.identity))

    def _ground_stations(self, identity: Identity) -> list[Recipient]:
        """Give whom to seal to, besides ourselves."""
        found = self.trusted.recipients(SYSTEM_CLOCK.unix_us(), Role.GROUND_STATION)
        return [recipient for kid, recipient in found.items() if kid != identity.kid]

    def make_sealer(self, stream: Stream) -> Sealer | None:
        """Begin a seal epoch for a stream; None if nothing is sealed."""
        if self.identity is None:
            return None
        stations = self._ground_stations(self.identity)
        if not stations:
            return None
        return FrameSealer.new(
            [self.identity.recipient.public, *stations],
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

        def opener_for(stream: Stream) -> FrameOpener:
            opener = identity.frame_opener(gateways.values())
            with buffer.reading() as connection:
                records = key_records(connection, stream.id)
            for _, record in records:
                try:
                    opener.add_record(record)
                except Untrusted:
                    continue  # its frames will say that their key is not known
            return opener

        return opener_for

    def verifiers(self) -> Mapping[str, Verifier]:
        """Give the public keys that may sign lane heads here, by key id."""
        trusted = self.trusted.senders(SYSTEM_CLOCK.unix_us(), Role.GATEWAY)
        return {**trusted, **self.own}
