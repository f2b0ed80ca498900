"""Who asks at the ground station, and may they deliver? Every method may wait for the disk."""

from dataclasses import dataclass, field

from dunes.authority.gate import Gate, NotAuthorised
from dunes.uplink.answers import Refusal
from dunes.uplink.enroll import Enrolled, Standing, find_gateway
from dunes.uplink.ground import GroundStation
from dunes.uplink.grounddir import ground_paths
from dunes.uplink.permission import may_deliver


@dataclass(slots=True)
class Admission:
    """The door of a ground station.

    Attributes:
        station: knows who is enrolled.
        gate: the station's own policies.
    """

    station: GroundStation
    gate: Gate = field(init=False)

    def __post_init__(self) -> None:
        """Point at the station's own policies."""
        self.gate = Gate(ground_paths(self.station.data), signer=self.station.signer)

    def close(self) -> None:
        """Write down what was decided."""
        self.gate.flush()

    def identify(self, authorization: str, name: str) -> Enrolled:
        """Find out who asks; a stranger learns nothing, not even which names exist.

        Args:
            authorization: that header.
            name: of the gateway whose door is knocked at.

        Raises:
            Refusal: not enrolled, another key, or revoked.
        """
        scheme, _, token = authorization.partition(" ")
        gateway = find_gateway(self.station.buffer, name)
        opened = gateway is not None and gateway.opens_with(token.strip())
        if scheme.lower() != "bearer" or gateway is None or not opened:
            raise Refusal(
                401, "not-enrolled", "no gateway of that name and API key is enrolled", close=True
            )
        if gateway.standing is not Standing.ENROLLED:
            raise Refusal(
                403, "revoked", f"gateway {name} may not write here any more", close=True
            )
        return gateway

    def require_delivery(self, gateway: str, table: str) -> None:
        """Ask the policies whether a gateway may deliver a table.

        Raises:
            Refusal: they say no.
        """
        decision = may_deliver(self.gate, gateway, table)
        if not decision.allow:
            raise Refusal(403, NotAuthorised.code, decision.reason, close=True)
