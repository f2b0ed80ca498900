"""Get to know a ground station: the key that signs its receipts, and whom to seal to."""

from dataclasses import dataclass

from dunes.crypto.keyfile import read_key_document
from dunes.crypto.signing import VerifyKey
from dunes.crypto.truststore import Role, TrustStore
from dunes.errors import ConfigError, PeerError
from dunes.paths import Paths
from dunes.uplink.carriers.https import make_client, request_identity
from dunes.uplink.target import Target
from dunes.uplink.tls import client_context


@dataclass(frozen=True, slots=True)
class Station:
    """What a ground station says of itself, over TLS that is trusted.

    Attributes:
        key: verifies its receipts.
        document: its public key document, with the keys to seal to; empty if it has none.
    """

    key: VerifyKey
    document: bytes


async def request_station(target: Target, timeout_s: float) -> Station:
    """Ask a ground station who it is.

    Raises:
        NoAnswer: it does not answer.
        NoGroundStation: something else does.
        ConfigError: it is not the key that the destination's entry names.
        PeerError: its document is of another key.
        BadKeyFile, BadSignature: key or document are no such thing.
    """
    context = client_context(ca_file=target.ca_file, tls_sha256=target.tls_sha256)
    async with make_client(target.url, context, target.proxy, timeout_s, timeout_s) as client:
        pem, text = await request_identity(client, target.url)
    key, document = VerifyKey.from_spki(pem), text.encode("utf-8")
    if target.kid and key.kid != target.kid:
        raise ConfigError(
            f"{target.url} signs with key {key.kid}, the entry of {target.name} names "
            f"{target.kid}",
            hint="if the ground station has a new key on purpose: mcp init --ground-key FILE",
        )
    if document and (found := read_key_document(document).kid) != key.kid:
        raise PeerError(f"{target.url} signs with key {key.kid}, its document is of {found}")
    return Station(key, document)


def seals_to(paths: Paths, kid: str, now_us: int) -> bool:
    """Say whether frames that are written here are sealed to a ground station."""
    return kid in TrustStore.at(paths).recipients(now_us, Role.GROUND_STATION)


def trust_station(paths: Paths, station: Station, now_us: int) -> bool:
    """Seal to a ground station from now on; False if it gave no key for that.

    Raises:
        Untrusted: its key was revoked here.
    """
    if station.document:
        TrustStore.at(paths).add(station.document, [Role.GROUND_STATION], now_us)
    return bool(station.document)
