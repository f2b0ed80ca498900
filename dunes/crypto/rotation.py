"""Replace this place's key by a new one, losing nothing that was sealed to the old one.

The old key signs the new document, so whoever trusts the old can accept the new, and
whoever trusts one before that can follow the chain of public documents. The old private
document becomes `verify-only` with a `not_after` and is kept, to open what was sealed
before. Order of writing: the retired copies, the new public document, then the identity
in one rename: after a crash at any point the place has its old key or its new
one, and every key that ever opened something is still there.
"""

import os
from dataclasses import replace

from dunes.crypto import keyio
from dunes.crypto.errors import NoIdentity, WrongPassphrase
from dunes.crypto.identity import (
    adopt,
    identity_path,
    load_document,
    load_retired,
    make_lock,
    open_document,
    public_path,
    retired_path,
)
from dunes.crypto.keyfile import KeyDocument, KeyPair, Locks
from dunes.crypto.keywriter import RANDOM_BYTES, Description, write_key_document
from dunes.errors import NotFound
from dunes.paths import Paths

KEEP_DAYS = 90
"""How long others go on believing what the old key signed: longer than any backlog."""
US_PER_DAY = 86_400_000_000


def rotate(
    paths: Paths,
    new: KeyPair,
    about: Description,
    *,
    now_us: int,
    secret: bytes | None = None,
    new_secret: bytes | None = None,
    keep_us: int = KEEP_DAYS * US_PER_DAY,
) -> bytes:
    """Make `new` this place's identity.

    Args:
        paths: where the keys are.
        new: the new keys.
        about: of the new keys; version and supersedes are filled in here.
        now_us: µs since 1970.
        secret: the passphrase of the present keys, if they have one.
        new_secret: the passphrase of all keys from now on; None binds them to the machine.
        keep_us: how long the old signing key is still believed.

    Returns:
        the new public document, signed by the new and the old key.

    Raises:
        NoIdentity: there is no key to rotate.
        WrongPassphrase: the present keys do not open.
    """
    try:
        current = load_document(identity_path(paths))
    except NotFound as e:
        raise NoIdentity("this place has no key to rotate", hint="dunes keygen") from e
    locks: Locks = {}
    old = open_document(paths, current, secret, locks)
    earlier = [
        (document, _open_either(paths, document, secret, new_secret, locks))
        for document in load_retired(paths)
        if document.kid != current.kid
    ]
    lock, kind = make_lock(paths, new_secret)
    ended = [_end(document, now_us + keep_us) for document, _ in [(current, old), *earlier]]
    pairs = [old, *(pair for _, pair in earlier)]
    for pair, described in zip(pairs, ended, strict=True):
        target = retired_path(paths, pair.kid)
        paths.ready(target.parent)
        keyio.write_over(
            target,
            write_key_document(
                pair, described, os.urandom(RANDOM_BYTES), lock=lock, lock_kind=kind
            ),
        )
    begun = Description(
        role=about.role or current.role,
        requested=about.requested,
        created_us=about.created_us,
        entropy=about.entropy,
        version=current.version + 1,
        supersedes=(current.kid, *current.supersedes)[:16],
    )
    public = write_key_document(new, begun, os.urandom(RANDOM_BYTES), endorse=old.signing)
    private = write_key_document(
        new,
        begun,
        os.urandom(RANDOM_BYTES),
        lock=lock,
        lock_kind=kind,
        endorse=old.signing,
    )
    adopt(paths, private, public, replace=True)
    signing = {pair.kid: pair.signing for pair in pairs}
    for pair, described in zip(pairs, ended, strict=True):
        before = described.supersedes[0] if described.supersedes else ""
        document = write_key_document(
            pair, described, os.urandom(RANDOM_BYTES), endorse=signing.get(before)
        )
        keyio.write_over(public_path(paths, pair.kid), document, mode=keyio.PUBLIC_MODE)
    return public


def _open_either(
    paths: Paths,
    document: KeyDocument,
    secret: bytes | None,
    new_secret: bytes | None,
    locks: Locks,
) -> KeyPair:
    """Open a retired key by the present passphrase, or by the next one.

    The next one opens it if an earlier rotation was cut off after it locked this key.
    """
    try:
        return open_document(paths, document, secret, locks)
    except WrongPassphrase:
        if new_secret is None:
            raise
        return open_document(paths, document, new_secret)


def _end(document: KeyDocument, not_after_us: int) -> Description:
    """Describe a key as verify-only; an end that was set before stays."""
    ended = document.not_after_us if document.status == "verify-only" else None
    return replace(
        Description.of(document),
        status="verify-only",
        not_after_us=not_after_us if ended is None else ended,
    )
