"""The mesh as a witness: a node that answers under its device key is the one we let in.

A node's device key was agreed upon when it was provisioned, and only it and this gateway
have it. So an answer to a configuration message proves that the node is there now. It is
no signature: nobody else can check it, and the verdict says `mesh`.
"""

import asyncio
from dataclasses import dataclass

from dunes.errors import DunesError, NotFound
from dunes.gateway.changing import MeshConfigReport
from dunes.gateway.store import MeshStore
from dunes.gateway.verbs import use
from dunes.settings import Settings
from dunes.text import printable
from sakina.verification.prove import MeshProver, Proof
from sakina.verification.verdict import Level

HOLDER = "sakina verify"
TRIES = 2
"""A node is asked this often, each time by a way of its own into the mesh."""


@dataclass(frozen=True, slots=True)
class GatewayMesh:
    """This gateway's mesh: by whoever owns it now, or with a radio of one's own."""

    settings: Settings
    mesh_id: str

    def prove(self, device: str, timeout_s: float) -> Proof:
        """Ask one node how it is configured; only its device key opens question and answer."""
        try:
            with MeshStore.open(self.settings, self.mesh_id, write=False) as store:
                store.find(device)
        except NotFound:
            return Proof(Level.NONE, failed=False, text=f"{self.mesh_id} has no node {device}")
        said = Proof(Level.NONE, failed=False, text="")
        for _ in range(TRIES):
            said = self._ask(device, timeout_s)
            if said.level is Level.MESH:
                break
        return said

    def _ask(self, device: str, timeout_s: float) -> Proof:
        try:
            report = asyncio.run(
                use(
                    self.settings,
                    "config",
                    {"node": device},
                    MeshConfigReport,
                    mesh_id=self.mesh_id,
                    ble=None,
                    holder=HOLDER,
                    timeout_s=timeout_s,
                    note=lambda _text: None,
                )
            )
        except DunesError as e:
            return Proof(Level.NONE, failed=False, text=printable(e.message, 300))
        node = report.nodes[0]
        if node.failed:
            text = f"node {node.unicast:#06x} of {self.mesh_id}: {printable(node.failed, 200)}"
            return Proof(Level.NONE, failed=False, text=text)
        text = f"node {node.unicast:#06x} of {self.mesh_id} answered under its device key"
        return Proof(Level.MESH, failed=False, text=text, simulated=report.simulated)


def find_mesh(settings: Settings) -> MeshProver | None:
    """Give what asks nodes of this gateway's mesh; None if it has none."""
    try:
        with MeshStore.open(settings, "", write=False) as store:
            return GatewayMesh(settings, store.mesh_id)
    except DunesError:
        return None
