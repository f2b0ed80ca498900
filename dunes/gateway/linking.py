"""Give a device that is no mesh node an element of the gateway, or take it back."""

from dataclasses import dataclass
from typing import Any

from dunes.authority.model import Action
from dunes.gateway.owner import Gateway
from dunes.gateway.permission import permit
from dunes.gateway.service import NoOwner, ask_owner, socket_path
from dunes.gateway.store import MeshStore
from dunes.settings import Settings

ANSWER_S = 20.0


@dataclass(frozen=True, slots=True)
class MeshLinkReport:
    """What became of a link.

    Attributes:
        mesh_id: the mesh.
        device: whose readings are told to it.
        linked: it has an element now.
        changed: that is new.
        element: the gateway's element, from 1; null: it has and had none.
        address: of that element.
        told: somebody listens to the mesh now, and tells it the device's readings.
        dry_run: nothing was changed.
    """

    mesh_id: str
    device: str
    linked: bool
    changed: bool
    element: int | None
    address: int | None
    told: bool = False
    dry_run: bool = False


def _change(
    store: MeshStore, device: str, *, unlink: bool, told: bool, dry_run: bool = False
) -> MeshLinkReport:
    element: int | None
    if unlink:
        element = store.linked().get(device) if dry_run else store.unlink(device)
        changed = element is not None
    else:
        element, changed = store.link(device, dry_run=dry_run)
    address = None if element is None else store.network.unicast + element
    return MeshLinkReport(
        store.mesh_id, device, not unlink, changed, element, address, told and not unlink, dry_run
    )


async def link(gateway: Gateway, args: dict[str, Any]) -> MeshLinkReport:
    """Do it as the owner of the mesh: from now on the device's readings are told.

    Args:
        gateway: the mesh.
        args: `device`, `unlink`.

    Raises:
        NoElement, DataError: as `MeshStore.link`.
        NotAuthorised: the policies forbid it.
    """
    device, unlink = str(args["device"]), bool(args.get("unlink"))
    await permit(gateway.settings, Action.MESH_CONFIGURE, device, _what(unlink))
    report = _change(gateway.store, device, unlink=unlink, told=True)
    gateway.relink()
    return report


def _what(unlink: bool) -> str:
    return "unlink" if unlink else "link"


async def link_device(
    settings: Settings, device: str, *, mesh_id: str | None, unlink: bool, dry_run: bool
) -> MeshLinkReport:
    """Do it beside whoever owns the mesh, or without; no radio is needed.

    Args:
        settings: as loaded.
        device: its name, as its readings have it.
        mesh_id: the mesh; None: as configured.
        unlink: take its element back.
        dry_run: change nothing.

    Raises:
        NotFound: no such mesh; NoElement: no address for one more device.
        DataError: no device can be called so, or it is a node of the mesh.
        MeshBusy: a program uses the mesh that cannot be asked.
        NotAuthorised: the policies forbid it.
    """
    import msgspec

    with MeshStore.open(settings, mesh_id or "", write=False) as known:
        name = known.mesh_id
        planned = _change(known, device, unlink=unlink, told=False, dry_run=True)
    if dry_run:
        return planned
    try:
        path = socket_path(settings.paths, name)
        args = {"device": device, "unlink": unlink}
        found = await ask_owner(path, "link", args, timeout_s=ANSWER_S)
    except NoOwner:
        pass
    else:
        return msgspec.convert(found, MeshLinkReport)
    if not planned.changed:
        return MeshLinkReport(name, device, not unlink, False, planned.element, planned.address)
    await permit(settings, Action.MESH_CONFIGURE, device, _what(unlink))
    with MeshStore.open(settings, name, holder="dunes mesh-link") as store:
        return _change(store, device, unlink=unlink, told=False)
