"""The key under which people's names become tokens: one per place, made when first needed."""

import contextlib
import os

from dunes.authority.pseudonym import KEY_BYTES, Pseudonyms
from dunes.crypto import keyio
from dunes.crypto.errors import KeyExists
from dunes.errors import DataError, LocalError, NotFound
from dunes.paths import Paths
from dunes.secrets import load_secret, secret_path

NAME = "pseudonyms"
"""The file is `keys/pseudonyms.secret`: 64 hex digits. Whoever loses it turns no token back."""


def load_pseudonyms(paths: Paths, *, create: bool = False) -> Pseudonyms:
    """Open this place's tokens.

    Args:
        paths: of the installation.
        create: make a key if there is none; two processes get the same one.

    Raises:
        NotFound: no key was made here yet.
        DataError: the key's file is damaged; nothing is made in its place.
        Denied: others could have read it.
    """
    try:
        text = load_secret(paths, NAME).reveal()
    except NotFound as e:
        if not create:
            raise NotFound(
                "no person was ever given a token here",
                hint="sakina tokenize NAME makes the key",
                code="no-pseudonyms",
            ) from e
        paths.ready(paths.keys)
        with contextlib.suppress(KeyExists):  # another process was faster: its key counts
            keyio.write_new(secret_path(paths, NAME), os.urandom(KEY_BYTES).hex().encode() + b"\n")
        text = load_secret(paths, NAME).reveal()
    try:
        return Pseudonyms(bytes.fromhex(text))
    except (ValueError, LocalError):  # chained to nothing: their text could quote the secret
        raise DataError(
            f"{secret_path(paths, NAME)} is damaged",
            hint="restore it from a backup: without it no token can be turned back",
            code="bad-pseudonyms",
        ) from None
