"""Whose signatures on tokens count at this place: our own, trusted keys, witnesses."""

from dunes.authority.gate import Gate
from dunes.authority.token import Authorities
from dunes.crypto.identity import identity_path, load_document, public_documents
from dunes.crypto.signing import VerifyKey
from dunes.crypto.truststore import Role, TrustStore
from dunes.errors import NotFound
from dunes.paths import Paths

NOBODY = "0" * 32
"""The key id of a place that has no identity yet."""


def load_authorities(paths: Paths, now_us: int) -> tuple[Authorities, str]:
    """Read whom this place believes; give that and its own key id.

    Issuers, whose word is enough: this place's own present key, and operators'. Witnesses:
    every key trusted as a gateway's, a ground station's or an operator's, and our own. Who is
    in quarantine, by name or by key, is believed nothing.
    """
    keys: dict[str, VerifyKey] = {}
    issuers, witnesses = set(), set()
    own = own_kid(paths)
    for document in public_documents(paths):
        keys[document.kid] = document.verify_key
        if document.kid == own:
            issuers.add(own)
            witnesses.add(own)
    ledger = Gate(paths).ledger()
    out = {name for name, tally in ledger.tallies.items() if tally.quarantined}
    store = TrustStore.at(paths)
    for entry in store.peers():
        if entry.believed(now_us) and not out & {entry.kid, entry.document.name}:
            keys[entry.kid] = entry.key
            if Role.OPERATOR in entry.roles:
                issuers.add(entry.kid)
            if entry.roles & {Role.GATEWAY, Role.GROUND_STATION, Role.OPERATOR}:
                witnesses.add(entry.kid)

    def find(kid: str) -> VerifyKey | None:
        """Look for a device's key when it is asked for: there may be many."""
        if kid not in keys and store.has(kid):
            entry = store.get(kid)
            if entry.believed(now_us) and not out & {entry.kid, entry.document.name}:
                return entry.key
        return keys.get(kid)

    return Authorities(find, issuers, witnesses, ledger.revoked), own


def own_kid(paths: Paths) -> str:
    """Give this place's key id, without opening the key; `NOBODY` if it has none yet."""
    try:
        return load_document(identity_path(paths)).kid
    except NotFound:
        return NOBODY
