"""A wallet on disk: begin, open, add, seal and unseal, export."""

import base64
import binascii
import hashlib
import io
import os
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dunes.authority.gate import Gate
from dunes.authority.jose import jwk_of
from dunes.clock import SYSTEM_CLOCK, US_PER_S, Clock, rfc3339
from dunes.crypto import identity as identities
from dunes.crypto import keyio, sealedfile
from dunes.crypto.truststore import TrustedKey, TrustStore
from dunes.errors import DataError, NotFound
from dunes.filelock import locked
from dunes.model import check_name
from dunes.mu.errors import BadReceipt
from dunes.mu.log import TransparencyLog, log_directory
from dunes.mu.receipt import take_apart
from dunes.mu.statement import read_statement
from dunes.paths import Paths
from dunes.secrets import Secret
from sakina.wallet.content import Held, Identity, Receipt, Sealed, Wallet
from sakina.wallet.document import MAX_BYTES, read_wallet, write_wallet

FILE = "wallet.md"


def wallet_path(paths: Paths, given: Path | None) -> Path:
    """Say where the wallet is."""
    return given or paths.config / FILE


@dataclass(slots=True)
class Keeper:
    """This place's wallet, with the key that signs it.

    Attributes:
        paths: of the installation.
        path: of the wallet.
        identity: signs, and opens sealed secrets.
        clock: dates.
    """

    paths: Paths
    path: Path
    identity: identities.Identity
    clock: Clock = SYSTEM_CLOCK

    def begin(self, network: str, *, force: bool) -> Wallet:
        """Begin a wallet that holds this place's own identity.

        Raises:
            KeyExists: there is one, and `force` is off.
        """
        now = self._now()
        own = self.identity
        score = Gate(self.paths).ledger().standing(own.name, self.clock.unix_us()).score
        key = own.signing.public
        mine = Identity(own.name, own.kid, ("owner",), jwk_of(key), round(score, 3), now)
        wallet = Wallet(
            str(uuid.UUID(bytes=os.urandom(16), version=4)), own.name, own.kid, network, now, now,
            identities=(mine,),
        )  # fmt: skip
        self.save(wallet, new=not force)
        return wallet

    def load(self) -> Wallet:
        """Read the wallet; it has to be one that this place signed.

        Raises:
            NotFound: there is none.
            DataError: it was changed, or somebody else signed it.
        """
        own = {key.kid: key for key in self.identity.own_senders}
        wallet, kid = read_wallet(read_file(self.path), own.get)
        if not kid:
            raise DataError(
                f"{self.path} was signed by another place",
                hint="sakina wallet-show --wallet FILE shows it",
                code="foreign-wallet",
            )
        return wallet

    def locked(self) -> AbstractContextManager[None]:
        """Let one process at a time read, change and write the wallet."""
        return locked(self.paths.ready(self.paths.runtime) / "wallet.lock")

    def save(self, wallet: Wallet, *, new: bool = False) -> Wallet:
        """Sign and write the wallet, with the state of the transparency log."""
        blocks, last_hash = self._log()
        wallet = replace(
            wallet, kid=self.identity.kid, changed_at=self._now(), blocks=blocks,
            last_hash=last_hash,
        )  # fmt: skip
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write = keyio.write_new if new else keyio.write_over
        write(self.path, write_wallet(wallet, self.identity.signing))
        return wallet

    def _log(self) -> tuple[int, str]:
        try:
            with TransparencyLog(log_directory(self.paths.state)) as log:
                return log.size, log.root().hex()
        except NotFound:
            return 0, ""

    def _now(self) -> str:
        return rfc3339(self.clock.unix_us() // US_PER_S * US_PER_S)

    # -- what goes in -----------------------------------------------------------------

    def identity_of(self, name: str) -> Identity:
        """Give the identity of a trusted key, by its owner's name or its id.

        Raises:
            NotFound: no trusted key is of that name.
        """
        store = TrustStore.at(self.paths)
        entry: TrustedKey | None = store.get(name) if store.has(name) else None
        if entry is None:
            entry = next((each for each in store if each.document.name == name), None)
        if entry is None:
            raise NotFound(f"no trusted key of {name[:60]!r}", hint="dunes keys list")
        if not entry.believed(self.clock.unix_us()):
            raise DataError(f"key {entry.kid} is believed no longer", code="untrusted-key")
        owner = check_name(entry.document.name, "owner")
        score = Gate(self.paths).ledger().standing(owner, self.clock.unix_us()).score
        roles = tuple(sorted(map(str, entry.roles)))
        return Identity(owner, entry.kid, roles, jwk_of(entry.key), round(score, 3), self._now())

    def grants_of(self, subject: str) -> tuple[Held, ...]:
        """Give what the policies of this place grant a subject by name."""
        policies = Gate(self.paths).policies()
        return tuple(
            Held(
                subject, grant.scopes,
                None if grant.until_us is None else rfc3339(grant.until_us), "policies",
            )
            for grant in policies.grants_exact.get(subject, ())
        )  # fmt: skip

    def receipt_of(self, path: Path) -> Receipt:
        """Describe a receipt's file.

        Raises:
            DataError: it is none.
        """
        data = read_file(path)
        try:
            parts = take_apart(data)
            statement = read_statement(parts.envelope.payload)
        except BadReceipt as e:
            raise DataError(f"{path}: {e.message}", code=e.code) from e
        kid = parts.envelope.signatures[0].keyid if parts.envelope.signatures else ""
        return Receipt(
            path.name, hashlib.sha256(data).hexdigest(), statement.source_name, kid,
            statement.log_index, statement.issued_at,
        )  # fmt: skip

    # -- secrets ----------------------------------------------------------------------

    def seal(self, name: str, secret: Secret) -> Sealed:
        """Encrypt a secret to this place's own key."""
        box = io.BytesIO()
        sealedfile.seal_stream(
            io.BytesIO(secret.reveal().encode("utf-8")),
            box,
            sender=self.identity.signing,
            recipients=[self.identity.recipient.public],
            dek=os.urandom(32),
            at_s=self.clock.unix_us() // US_PER_S,
        )
        shown = base64.b64encode(box.getvalue()).decode("ascii")
        return Sealed(check_name(name, "secret"), self.identity.kid, shown, self._now())

    def unseal(self, wallet: Wallet, name: str) -> Secret:
        """Open a secret of the wallet.

        Raises:
            NotFound: none of that name.
            NotARecipient, Tampered: it does not open with this place's key.
        """
        found = next((each for each in wallet.secrets if each.name == name), None)
        if found is None:
            raise NotFound(f"the wallet has no secret {name[:60]!r}", hint="sakina wallet-show")
        try:
            box = base64.b64decode(found.box, validate=True)
        except binascii.Error as e:
            raise DataError("the secret's box is not base64", code="bad-wallet") from e
        plain = io.BytesIO()
        sealedfile.open_stream(
            io.BytesIO(box),
            plain,
            {key.kid: key for key in self.identity.opening_keys},
            {key.kid: key for key in self.identity.own_senders},
        )
        return Secret(plain.getvalue().decode("utf-8"))


def add(wallet: Wallet, changes: Mapping[str, Any]) -> Wallet:
    """Put things in; what has the same name, or is the same, is replaced.

    Args:
        wallet: as it is.
        changes: `identities`, `grants`, `receipts`, `secrets`: what to put in.
    """
    keys: dict[str, Callable[[Any], Any]] = {
        "identities": lambda each: each.kid,
        "grants": lambda each: (each.subject, each.scopes),
        "receipts": lambda each: each.sha256,
        "secrets": lambda each: each.name,
    }
    done: dict[str, Any] = {}
    for kind, new in changes.items():
        key = keys[kind]
        taken = {key(each) for each in new}
        kept = tuple(each for each in getattr(wallet, kind) if key(each) not in taken)
        done[kind] = (*kept, *new)
    return replace(wallet, **done)


def read_file(path: Path) -> bytes:
    """Read a whole file of bounded size.

    Raises:
        NotFound: no such file.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as e:
        raise NotFound(f"no file {path}", hint="sakina wallet-init", code="no-file") from e
    except OSError as e:
        raise DataError(f"cannot read {path}: {e.strerror}") from e
    if len(data) > MAX_BYTES:
        raise DataError(f"{path} has more than {MAX_BYTES} bytes", code="too-large")
    return data
