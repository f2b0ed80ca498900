"""Which token store: option, environment, what was remembered, else what works here."""

import os
from collections.abc import Mapping
from typing import NamedTuple

from dunes.errors import UsageError
from dunes.paths import Paths
from sakina.memory import Memory
from sakina.oauth.errors import StoreUnusable
from sakina.store import TokenStore
from sakina.store.file import FileStore
from sakina.store.none import NoStore

KINDS = ("file", "keyring", "none")
VARIABLE = "SAKINA_TOKEN_STORE"


class Chosen(NamedTuple):
    """A store, and who chose it."""

    store: TokenStore
    origin: str


def choose_store(
    paths: Paths,
    memory: Memory,
    asked: str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    in_clear: bool = False,
    trial: bool = False,
) -> Chosen:
    """Choose the store.

    Args:
        paths: of this installation.
        memory: of earlier runs.
        asked: the option's value.
        environ: the environment; default: this process's.
        in_clear: the file store writes without encryption.
        trial: where nobody chose, try whether a keyring works (an entry is written and
            deleted); else nothing is written. What is kept was chosen before.

    Raises:
        UsageError: there is no store of that name.
        StoreUnusable: the keyring was chosen, and its extra is missing.
    """
    env = os.environ if environ is None else environ
    for kind, origin in (
        (asked, "--token-store"),
        (env.get(VARIABLE), VARIABLE),
        (memory.token_store, str(memory.path)),
    ):
        if kind:
            return Chosen(_make(kind, origin, paths, memory, env, in_clear=in_clear), origin)
    if trial and not in_clear:
        try:
            keyring = _make("keyring", "default", paths, memory, env, in_clear=False)
            keyring.probe()
        except StoreUnusable:
            pass  # no extra, no D-Bus, no desktop: the usual case on a gateway
        else:
            return Chosen(keyring, "default: a keyring works here")
    return Chosen(FileStore(paths, env, in_clear=in_clear), "default")


def _make(
    kind: str,
    origin: str,
    paths: Paths,
    memory: Memory,
    environ: Mapping[str, str],
    *,
    in_clear: bool,
) -> TokenStore:
    match kind:
        case "file":
            return FileStore(paths, environ, in_clear=in_clear)
        case "keyring":
            from sakina.store.keyring import KeyringStore

            return KeyringStore(memory)
        case "none":
            return NoStore()
    raise UsageError(
        f"{origin}: there is no token store {kind[:40]!r}", hint=f"choose {', '.join(KINDS)}"
    )
