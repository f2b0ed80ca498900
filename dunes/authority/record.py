"""Put what was decided by a person on record: signed, and in the transparency log."""

import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dunes import __version__
from dunes.clock import SYSTEM_CLOCK, Clock
from dunes.mu.issue import Issued, issue
from dunes.mu.log import TransparencyLog, log_directory
from dunes.mu.receipt import draft
from dunes.paths import Paths

if TYPE_CHECKING:
    from dunes.crypto.identity import Identity


@dataclass(frozen=True, slots=True)
class Recorder:
    """This place's pen.

    Attributes:
        paths: of the installation.
        identity: signs.
        clock: dates.
    """

    paths: Paths
    identity: "Identity"
    clock: Clock = SYSTEM_CLOCK

    @classmethod
    def at(cls, paths: Paths, name: str = "gateway") -> "Recorder":
        """Open this place's identity, made if there is none.

        Raises:
            WrongPassphrase: it is locked.
        """
        from dunes.crypto.identity import ensure_identity

        return cls(paths, ensure_identity(paths, name))

    def record(self, name: str, source: bytes, more: Mapping[str, Any]) -> Issued:
        """Issue a receipt of a text.

        Args:
            name: of the text, e.g. `policies.json`.
            source: the text, UTF-8.
            more: what the signed statement says besides.
        """
        made = draft(
            source,
            name=name,
            at=self.clock.now(),
            uuid=uuid.UUID(bytes=os.urandom(16), version=4),
            tool=f"dunes-mcp/{__version__}",
            more=more,
        )
        key = self.identity.signing
        directory = log_directory(self.paths.state)
        with TransparencyLog.open(directory, origin=f"dunes/{key.kid}") as log:
            return issue(made, key, key.public.raw, log)
