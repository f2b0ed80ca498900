"""What commissioning is asked for."""

from collections.abc import Callable
from dataclasses import dataclass

from dunes.gateway.dialogue import Ask, nobody
from dunes.mesh.managerstate import KnownNode
from dunes.mesh.procedure import Plan
from dunes.mesh.provisioning.oob import Oob


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for.

    Attributes:
        nodes: how many the mesh shall have.
        plan_of: what a node shall become.
        oob_of: how a device, by UUID, and an operator can meet.
        ask: given what is to be typed in or shown.
        anew: addresses of nodes that were configured to another plan.
        begin: told a node and the plan that it is brought to now; says whether the steps that
            it has done belong to another plan.
        on_configured: told a node that follows its plan now.
        quiet_s: with nothing new heard for so long, there is nothing more.
        attention_s: how long a device shall show itself.
        parallel: nodes at once; 0: as many as the radio has links.
    """

    nodes: int
    plan_of: Callable[[KnownNode], Plan]
    oob_of: Callable[[bytes], Oob] = lambda _uuid: Oob()
    ask: Ask = nobody
    anew: frozenset[int] = frozenset()
    begin: Callable[[KnownNode, Plan], bool] = lambda _node, _plan: False
    on_configured: Callable[[KnownNode], None] = lambda _node: None
    quiet_s: float = 10.0
    attention_s: int = 0
    parallel: int = 0
