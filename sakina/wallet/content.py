"""What a wallet holds. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dunes.authority.jose import key_of
from dunes.crypto.errors import BadKeyFile
from dunes.crypto.signing import is_kid
from dunes.errors import DataError
from dunes.model import NAME

SCHEMA = "dunes.wallet/1"
ITEMS_MAX = 1000
TEXT_MAX = 512
SEALED_MAX = 16 * 1024


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody with a key.

    Attributes:
        name: who.
        kid: key id.
        roles: what the key is believed for.
        jwk: the public key (RFC 9964).
        reputation: 0 to 1, when it was put in.
        added_at: RFC 3339.
    """

    name: str
    kid: str
    roles: tuple[str, ...]
    jwk: Mapping[str, str]
    reputation: float
    added_at: str


@dataclass(frozen=True, slots=True)
class Held:
    """Scopes that somebody was given.

    Attributes:
        subject: who.
        scopes: what.
        until: RFC 3339; null: open.
        source: `policies`, or a token's id.
    """

    subject: str
    scopes: tuple[str, ...]
    until: str | None
    source: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt that was put in.

    Attributes:
        file: its name.
        sha256: of its bytes.
        source: what it is of.
        kid: who signed it; empty if nobody.
        log_index: its place in a log; null if it names none.
        issued_at: RFC 3339.
    """

    file: str
    sha256: str
    source: str
    kid: str
    log_index: int | None
    issued_at: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """A secret, encrypted to this place's key (2048-AES sealed file, base64).

    Attributes:
        name: what it is called.
        kid: whose key opens it.
        box: the sealed bytes.
        added_at: RFC 3339.
    """

    name: str
    kid: str
    box: str
    added_at: str


@dataclass(frozen=True, slots=True)
class Wallet:
    """All of it.

    Attributes:
        id: a UUID; the wallet's address.
        owner: name of the place.
        kid: its key; signs the wallet.
        network: the mesh's or site's name; may be empty.
        created_at: RFC 3339.
        changed_at: RFC 3339.
        blocks: entries of this place's transparency log when the wallet was written.
        last_hash: the root over them, hex.
        identities: by order.
        grants: by order.
        receipts: by order.
        secrets: by order.
    """

    id: str
    owner: str
    kid: str
    network: str
    created_at: str
    changed_at: str
    blocks: int = 0
    last_hash: str = ""
    identities: tuple[Identity, ...] = ()
    grants: tuple[Held, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    secrets: tuple[Sealed, ...] = ()

    def encode(self) -> dict[str, Any]:
        """Give it as JSON takes it."""
        return {"schema": SCHEMA} | asdict(self)


def read_content(body: Any) -> Wallet:
    """Read a wallet's content, with every check.

    Raises:
        DataError: it is not one.
    """
    try:
        wallet = _wallet(dict(body))
    except (KeyError, TypeError, ValueError, BadKeyFile) as e:
        raise DataError(f"this is not a wallet's content: {e}", code="bad-wallet") from e
    return wallet


def _wallet(body: dict[str, Any]) -> Wallet:
    if body.pop("schema") != SCHEMA:
        raise ValueError(f"its schema is not {SCHEMA}")
    rows = {
        name: _rows(body.pop(name)) for name in ("identities", "grants", "receipts", "secrets")
    }
    blocks = body.pop("blocks")
    if type(blocks) is not int or blocks < 0:
        raise ValueError("blocks")
    texts = {key: _text(value, key) for key, value in body.items()}
    return Wallet(
        **texts,
        blocks=blocks,
        identities=tuple(_identity(row) for row in rows["identities"]),
        grants=tuple(_held(row) for row in rows["grants"]),
        receipts=tuple(_receipt(row) for row in rows["receipts"]),
        secrets=tuple(_sealed(row) for row in rows["secrets"]),
    )


def _rows(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or len(value) > ITEMS_MAX:
        raise TypeError("a list is none, or too long")
    return [dict(row) for row in value]


def _identity(row: dict[str, Any]) -> Identity:
    key = key_of(row["jwk"])
    if key.kid != row["kid"] or NAME.fullmatch(row["name"]) is None:
        raise ValueError("an identity's key is not the one it names")
    score = row.pop("reputation")
    if isinstance(score, bool) or not 0 <= float(score) <= 1:
        raise ValueError("reputation")
    roles = tuple(_text(role, "roles") for role in row.pop("roles"))
    jwk = {k: str(v) for k, v in row.pop("jwk").items()}
    return Identity(
        **{k: _text(v, k) for k, v in row.items()}, roles=roles, jwk=jwk, reputation=float(score)
    )


def _held(row: dict[str, Any]) -> Held:
    until = row["until"]
    return Held(
        _text(row["subject"], "subject"),
        tuple(_text(scope, "scopes") for scope in row["scopes"]),
        None if until is None else _text(until, "until"),
        _text(row["source"], "source"),
    )


def _receipt(row: dict[str, Any]) -> Receipt:
    index = row.pop("log_index")
    if index is not None and type(index) is not int:
        raise TypeError("log_index")
    return Receipt(**{k: _text(v, k) for k, v in row.items()}, log_index=index)


def _sealed(row: dict[str, Any]) -> Sealed:
    if NAME.fullmatch(row["name"]) is None or not is_kid(row["kid"]):
        raise ValueError("a secret's name or key")
    box = row.pop("box")
    if not isinstance(box, str) or len(box) > SEALED_MAX:
        raise ValueError("a secret's box")
    return Sealed(**{k: _text(v, k) for k, v in row.items()}, box=box)


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or len(value) > TEXT_MAX or not value.isprintable():
        raise ValueError(what)
    return value
