"""What can be asked of a mesh; by its owner's socket, or with a radio of one's own.

    report = await use(settings, "send", {"device": "hab-1", "onoff": "on"}, MeshSendReport, …)

Who asks need not know whether `mesh-listen` runs: it owns radio and state then, and is asked.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec

from dunes.gateway.changing import configure, refresh_keys, remove
from dunes.gateway.linking import link
from dunes.gateway.owner import Gateway, open_gateway
from dunes.gateway.sending import send
from dunes.gateway.service import NoOwner, Tell, Verb, ask_owner, socket_path
from dunes.gateway.standing import live
from dunes.gateway.store import MeshStore
from dunes.settings import Settings

Work = Callable[[Gateway, dict[str, Any]], Awaitable[Any]]
T = TypeVar("T")

VERBS: Mapping[str, Work] = {
    "send": send,
    "config": configure,
    "refresh": refresh_keys,
    "remove": remove,
    "link": link,
    "status": live,
}


def verbs_of(gateway: Gateway) -> dict[str, Verb]:
    """Give what the owner of a mesh answers; its proxy is kept."""

    def verb(work: Work) -> Verb:
        async def answer(args: Mapping[str, Any], tell: Tell) -> Any:
            del tell
            return await work(gateway, dict(args))

        return answer

    return {name: verb(work) for name, work in VERBS.items()}


async def use(
    settings: Settings,
    verb: str,
    args: dict[str, Any],
    kind: type[T],
    *,
    mesh_id: str | None,
    ble: str | None,
    holder: str,
    timeout_s: float,
    note: Callable[[str], None],
) -> T:
    """Do something with a mesh.

    Args:
        settings: as loaded.
        verb: of `VERBS`.
        args: for it.
        kind: of the report.
        mesh_id: the mesh; None: as configured.
        ble: the radio; None: as configured.
        holder: the command, for whoever finds the mesh in use.
        timeout_s: for a proxy to be found; the owner has that long and a while more.
        note: told what an operator may want to know.

    Raises:
        NotFound: no such mesh.
        DunesError: what went wrong, here or at the owner's.
    """
    with MeshStore.open(settings, mesh_id or "", write=False) as known:
        name = known.mesh_id
    args = args | {"timeout_s": timeout_s}
    try:
        path = socket_path(settings.paths, name)
        found = await ask_owner(path, verb, args, timeout_s=timeout_s + LONGEST_S)
    except NoOwner:
        pass
    else:
        return msgspec.convert(found, kind)
    async with (
        open_gateway(settings, holder=holder, mesh_id=name, ble=ble, note=note) as gateway,
        gateway.proxies.kept(),
    ):
        result: T = await VERBS[verb](gateway, args)  # its own kind
        return result


LONGEST_S = 600.0
"""What a key refresh of a large mesh may take at the owner's."""
