"""Choose the token store and the default provider, and remember both."""

from collections.abc import Mapping
from typing import Any

from dunes.crypto import passphrase
from dunes.paths import Paths
from dunes.site import running_site
from sakina.memory import load_memory
from sakina.providers import DEFAULT, find_provider
from sakina.store.choose import choose_store
from sakina.store.file import FileStore


def set_up(
    paths: Paths,
    provider: str | None,
    asked_store: str | None,
    *,
    dry_run: bool = False,
    environ: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Try the store, look the provider up, remember both.

    Returns:
        What was chosen, as the fields of the report.

    Raises:
        StoreUnusable: the store does not work.
        UsageError: there is no such provider or store.
    """
    memory = load_memory(paths)
    name = provider or memory.provider or DEFAULT
    found = find_provider(name, running_site(paths))
    store, origin = choose_store(paths, memory, asked_store, environ=environ, trial=True)
    store.probe()
    before = (memory.token_store, memory.provider)
    changed = before != (store.name, name)
    if changed and not dry_run:
        memory.token_store, memory.provider = store.name, name
        memory.save()
    is_file = isinstance(store, FileStore)
    lock = "machine" if passphrase.from_environment(environ) is None else "passphrase"
    return {
        "store": store.name,
        "store_origin": origin,
        "place": str(store.folder) if isinstance(store, FileStore) else "",
        "lock": lock if is_file else "",
        "provider": name,
        "issuer": found.issuer,
        "flows": found.flows,
        "memory": str(memory.path),
        "changed": changed and not dry_run,
        "simulated": found.simulated,
    }
