"""A gateway's new key, believed because the one before it signed it.

After `dunes keys rotate` a gateway shows a ground station the documents of its keys,
from the enrolled one to the present one; each is signed by its predecessor. The ground
station then takes the last for the enrolled key. The earlier ones it keeps in its trust
store: they go on verifying and opening what was received under them, for as long as
that is stored.
"""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from sqlalchemy import update

from dunes.buffer.store import Buffer
from dunes.crypto import keyio
from dunes.crypto.errors import BadKeyFile
from dunes.crypto.identity import Identity, public_path
from dunes.crypto.keyfile import KeyDocument, read_key_document
from dunes.crypto.signing import SUITE_ALGORITHM, VerifyKey
from dunes.crypto.truststore import Role, TrustStore
from dunes.errors import NotFound, PeerError
from dunes.maml.strict_json import JsonFault, read_json
from dunes.paths import Paths
from dunes.uplink import tables
from dunes.uplink.enroll import Enrolled, list_gateways
from dunes.uplink.grounddir import ground_paths

SCHEMA = "dunes.key-chain/1"
CHAIN_MAX = 16
CHAIN_MAX_BYTES = CHAIN_MAX * 32 * 1024


def own_chain(paths: Paths, identity: Identity) -> list[bytes]:
    """Give the public documents of this place's keys, oldest first, the present one last."""
    documents = [identity.document]
    for kid in read_key_document(identity.document).supersedes[: CHAIN_MAX - 1]:
        try:
            documents.append(keyio.read_public(public_path(paths, kid)))
        except NotFound:
            break  # what came before it can be shown to nobody
    return documents[::-1]


def encode_chain(documents: Sequence[bytes]) -> bytes:
    """Write a chain of documents as JSON."""
    texts = [document.decode("utf-8") for document in documents]
    return json.dumps({"schema": SCHEMA, "documents": texts}).encode("ascii")


def parse_chain(body: bytes) -> list[KeyDocument]:
    """Read a chain; each document is checked against itself only.

    Raises:
        PeerError: it is none.
        BadKeyFile, BadSignature: one of its documents.
    """
    try:
        found = read_json(body[: CHAIN_MAX_BYTES + 1].decode("utf-8"))
        texts = [text.encode("utf-8") for text in found["documents"]]
    except (JsonFault, UnicodeDecodeError, KeyError, TypeError, AttributeError) as e:
        raise PeerError("this is no chain of key documents") from e
    if found.get("schema") != SCHEMA or not 1 <= len(texts) <= CHAIN_MAX:
        raise PeerError("this is no chain of key documents")
    return [read_key_document(text) for text in texts]


def succeed(data: Path, buffer: Buffer, gateway: Enrolled, chain: Sequence[KeyDocument]) -> str:
    """Take the last key of a chain for the gateway's; again is harmless. Gives its kid.

    Args:
        data: the ground station's data directory.
        buffer: its database.
        gateway: who shows the chain, authenticated.
        chain: from `parse_chain`.

    Raises:
        PeerError: the chain does not lead from the enrolled key to the last one.
        Untrusted: an earlier key was revoked here.
    """
    kids = [document.kid for document in chain]
    if gateway.kid not in kids:
        raise PeerError(
            f"the chain does not hold the enrolled key {gateway.kid}", code="not-a-successor"
        )
    links = chain[kids.index(gateway.kid) :]
    for old, new in pairwise(links):
        if not (new.self_signed and new.endorsed_by(old.verify_key)):
            raise PeerError(
                f"key {new.kid} is not signed by {old.kid}, which it follows",
                code="not-a-successor",
            )
    last = links[-1]
    if last.private or last.status != "active" or last.algorithm != SUITE_ALGORITHM:
        raise BadKeyFile("the last document of the chain is not that of an active key")
    if last.kid == gateway.kid:
        return last.kid
    now_us = buffer.clock.unix_us()
    trusted = TrustStore.at(ground_paths(data))
    for old in links[:-1]:  # kept before the list changes: a crash in between costs a repeat
        trusted.add(old.data, [Role.GATEWAY], now_us)
    with buffer.writing() as connection:
        connection.execute(
            update(tables.gateway)
            .where(tables.gateway.c.name == gateway.gateway, tables.gateway.c.kid == gateway.kid)
            .values(kid=last.kid, spki=last.verify_key.spki_der, changed_us=now_us)
        )
    return last.kid


def known_keys(data: Path, buffer: Buffer) -> dict[str, VerifyKey]:
    """Give the keys under which gateways ever wrote here, by kid; expired ones too.

    What is stored was verified when it came; a key that ended since must still open it.
    """
    found = {
        entry.kid: entry.key
        for entry in TrustStore.at(ground_paths(data))
        if Role.GATEWAY in entry.roles and not entry.revoked
    }
    return found | {gateway.kid: gateway.key for gateway in list_gateways(buffer)}
