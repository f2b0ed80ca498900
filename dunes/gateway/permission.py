"""May whoever runs this process command an actuator, or change the mesh? Asked of the policies."""

import asyncio

from dunes.authority.gate import authorise
from dunes.authority.model import Action, Resource
from dunes.settings import Settings


async def permit(settings: Settings, action: Action, device: str, what: str) -> None:
    """Ask, and write the answer down; return nothing if it is yes.

    Args:
        settings: as loaded.
        action: to command an actuator, or to configure the mesh.
        device: the node by its name; empty: the mesh as a whole.
        what: for the record, e.g. `onoff on`.

    Raises:
        NotAuthorised: no (exit 77); nothing is to be sent.
    """
    resource = Resource(device=device, name=what[:80])
    await asyncio.to_thread(authorise, settings.paths, action, resource)
