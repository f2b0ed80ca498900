"""The mesh as a witness: a node that answers under its device key is the one we let in.

A node's device key was agreed upon when it was provisioned, and only it and this gateway
have it. So an answer to a configuration message proves that the node is there now. It is
no signature: nobody else can check it, and the verdict says `mesh`.
"""

from dunes.settings import Settings
from dunes.site import Site
from sakina.verification.prove import MeshProver


def find_mesh(_settings: Settings, _site: Site | None) -> MeshProver | None:
    """Give what asks nodes of this gateway's mesh; None if it has none."""
    return None
