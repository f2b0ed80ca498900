"""Who may write to a ground station: the list of enrolled gateways.

A gateway proves itself twice: the API key opens the door, the signature under each
lane head says whose readings these are. Of the API key only its SHA-256 is kept.
"""

import hashlib
import hmac
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update

from dunes.buffer.store import Buffer
from dunes.crypto.signing import VerifyKey
from dunes.errors import Denied, NotFound
from dunes.model import check_name
from dunes.uplink import tables
from dunes.uplink.grounddir import ground_buffer

if TYPE_CHECKING:
    from dunes.secrets import Secret

_G = tables.gateway.c


class Standing(StrEnum):
    """What an enrolled gateway may do."""

    ENROLLED = "enrolled"
    """Write its own streams."""
    REVOKED = "revoked"
    """Nothing more; what it wrote stays."""


class AlreadyEnrolled(Denied):
    """Another key has that gateway's name."""

    code = "already-enrolled"


@dataclass(frozen=True, slots=True)
class Enrolled:
    """One gateway of the list.

    Attributes:
        gateway: its name.
        kid: its signing key's id.
        spki: that key, DER.
        standing: what it may do.
        enrolled_us: since when.
        changed_us: when its entry was changed last.
        api_key_sha256: of the key that opens the door.
    """

    gateway: str
    kid: str
    spki: bytes
    api_key_sha256: bytes
    standing: Standing
    enrolled_us: int
    changed_us: int

    @property
    def key(self) -> VerifyKey:
        """The key that signs its heads."""
        return VerifyKey.from_spki(self.spki)

    def opens_with(self, api_key: str) -> bool:
        """Tell whether this is the gateway's API key, in constant time."""
        given = hashlib.sha256(api_key.encode("utf-8", "replace")).digest()
        return hmac.compare_digest(given, self.api_key_sha256)


def find_gateway(buffer: Buffer, gateway: str) -> Enrolled | None:
    """Give one entry of the list, revoked ones too."""
    with buffer.reading() as connection:
        row = connection.execute(select(tables.gateway).where(_G.name == gateway)).first()
    return None if row is None else _entry(row)


def list_gateways(buffer: Buffer) -> list[Enrolled]:
    """Give the list, by name."""
    with buffer.reading() as connection:
        rows = connection.execute(select(tables.gateway).order_by(_G.name)).all()
    return [_entry(row) for row in rows]


def enroll_gateway(
    buffer: Buffer, gateway: str, spki: bytes | str, api_key: "Secret", *, replace: bool = False
) -> tuple[Enrolled, bool]:
    """Add a gateway, or change its API key; again with the same is harmless.

    Args:
        buffer: the ground station's database.
        gateway: its name.
        spki: its public signing key, PEM or DER.
        api_key: what it will present.
        replace: accept another signing key under a known name.

    Returns:
        The entry, and whether anything changed.

    Raises:
        AlreadyEnrolled: another signing key has that name.
        BadKeyFile: no public key.
        DataError: no gateway name.
    """
    check_name(gateway, "gateway")
    key = VerifyKey.from_spki(spki)
    now_us = buffer.clock.unix_us()
    digest = hashlib.sha256(api_key.reveal().encode()).digest()
    with buffer.writing() as connection:
        row = connection.execute(select(tables.gateway).where(_G.name == gateway)).first()
        if row is None:
            made = Enrolled(
                gateway, key.kid, key.spki_der, digest, Standing.ENROLLED, now_us, now_us
            )
            connection.execute(
                insert(tables.gateway).values(
                    name=gateway,
                    kid=made.kid,
                    spki=made.spki,
                    api_key_sha256=digest,
                    standing=made.standing.value,
                    enrolled_us=now_us,
                    changed_us=now_us,
                )
            )
            return made, True
        known = _entry(row)
        if known.kid != key.kid and not replace:
            raise AlreadyEnrolled(
                f"gateway {gateway} is enrolled with key {known.kid}, this is {key.kid}",
                hint="if the gateway has a new key on purpose: --replace",
            )
        same = known.kid == key.kid and known.api_key_sha256 == digest
        if same and known.standing is Standing.ENROLLED:
            return known, False
        changes = {
            "kid": key.kid,
            "spki": key.spki_der,
            "api_key_sha256": digest,
            "standing": Standing.ENROLLED.value,
            "changed_us": now_us,
        }
        connection.execute(update(tables.gateway).where(_G.name == gateway).values(**changes))
    made = Enrolled(
        gateway,
        key.kid,
        key.spki_der,
        digest,
        Standing.ENROLLED,
        known.enrolled_us,
        now_us,
    )
    return made, True


def revoke_gateway(buffer: Buffer, gateway: str) -> bool:
    """Let a gateway write no more; give whether that is new.

    Raises:
        NotFound: it is not on the list.
    """
    with buffer.writing() as connection:
        row = connection.execute(select(tables.gateway).where(_G.name == gateway)).first()
        if row is None:
            names = ", ".join(connection.execute(select(_G.name)).scalars()) or "nobody"
            raise NotFound(
                f"gateway {gateway[:80]!r} is not enrolled",
                hint=f"enrolled: {names[:200]}",
                code="unknown-gateway",
            )
        if row.standing == Standing.REVOKED:
            return False
        connection.execute(
            update(tables.gateway)
            .where(_G.name == gateway)
            .values(standing=Standing.REVOKED.value, changed_us=buffer.clock.unix_us())
        )
    return True


def enroll(data_dir: Path, gateway: str, spki_pem: str, api_key: "Secret") -> bool:
    """Enrol a gateway in a ground station's data directory; give whether that is new.

    The ground station may run meanwhile: it reads the list for each request.
    """
    with ground_buffer(data_dir, create=True) as buffer:
        return enroll_gateway(buffer, gateway, spki_pem, api_key)[1]


def _entry(row: object) -> Enrolled:
    name, kid, spki, digest, standing, enrolled_us, changed_us = tuple(row)  # type: ignore[var-annotated,arg-type]  # a row
    return Enrolled(
        name, kid, bytes(spki), bytes(digest), Standing(standing), enrolled_us, changed_us
    )
