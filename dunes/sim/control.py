"""Talk to the running site: what can be asked of it, and the client that asks.

HTTP with JSON on loopback; a token that only the owner of `site.json` knows.
"""

import http.client
import json
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

from dunes.errors import PeerError, Unavailable, UsageError
from dunes.sim.air.talk import MeshState
from dunes.sim.siteclock import Anchor, SiteClock
from dunes.site import Site

TIMEOUT_S = 10.0
BODY_MAX_BYTES = 1 << 20

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class CutState:
    """An outage that goes on.

    Attributes:
        interface: what is cut.
        cause: what the dish says.
        mode: `silent` (bytes stop) or `reset` (connections are torn down).
        since: when it began, site time, RFC 3339.
        left_s: how long it will last, in site seconds.
    """

    interface: str
    cause: str
    mode: str
    since: str
    left_s: float


@dataclass(frozen=True, slots=True)
class LinkState:
    """The way to the ground as it is now."""

    one_way_delay_s: float
    jitter_s: float
    loss: float
    rate_bps: float
    rate_down_bps: float
    connections: int
    up_bytes: int
    down_bytes: int


@dataclass(frozen=True, slots=True)
class TableState:
    """What the sensors of one table have made, since ever."""

    devices: int
    readings: int
    alerts: int
    last: str
    file: str


@dataclass(frozen=True, slots=True)
class MeshSummary:
    """The site's mesh in a line.

    Attributes:
        radio: HCI over TCP of the gateway's controller: `127.0.0.1:PORT`; empty: no mesh.
        nodes: how many are in the air.
        note: why there is no mesh.
    """

    radio: str = ""
    nodes: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class SiteState:
    """The site now.

    Attributes:
        name: e.g. `lunar`.
        title: one line about it.
        pid: its process.
        started: when it came up, RFC 3339.
        site_time: what its clock shows, RFC 3339.
        speed: site seconds in one of ours.
        cut: the outage that goes on; null while the sky is open.
        link: the way to the ground.
        tables: what was made.
        endpoints: addresses that lead to the site, and where to.
        destination: the ground station's name.
        mesh: its Bluetooth Mesh.
        simulated: always true.
    """

    name: str
    title: str
    pid: int
    started: str
    site_time: str
    speed: float
    cut: CutState | None
    link: LinkState
    tables: dict[str, TableState]
    endpoints: dict[str, str]
    destination: str
    mesh: MeshSummary = field(default_factory=MeshSummary)
    simulated: bool = True


@dataclass(frozen=True, slots=True)
class MadeState:
    """Exactly what lies in the sensors' files at one moment.

    Attributes:
        site_us: site time up to which readings were made.
        anchors: the site's clock, to carry times both ways.
        tables: the last running number by table and device; each counts from 1.
    """

    site_us: int
    anchors: tuple[tuple[int, int, float], ...]
    tables: dict[str, dict[str, int]]

    def clock(self) -> SiteClock:
        """Give the site's clock."""
        return SiteClock([Anchor(*anchor) for anchor in self.anchors])


@dataclass(frozen=True, slots=True)
class Nothing:
    """A request that says nothing more."""


@dataclass(frozen=True, slots=True)
class CutRequest:
    """Cut the sky; the site itself ends it after `duration_s` of site time.

    With `check_only` nothing is cut: it is only said whether it could be.
    """

    duration_s: float
    interface: str = "starlink"
    mode: str = "silent"
    cause: str = ""
    check_only: bool = False


@dataclass(frozen=True, slots=True)
class SpeedRequest:
    """Let site time run `speed` times as fast as ours."""

    speed: float


@dataclass(frozen=True, slots=True)
class EventRequest:
    """Let something happen on the site, e.g. `solar-particle`."""

    kind: str


@dataclass(frozen=True, slots=True)
class ApproveRequest:
    """Approve or refuse a login at the site's identity provider; an empty code: the only one."""

    code: str = ""
    user: str = "operator"
    approve: bool = True


@dataclass(frozen=True, slots=True)
class ApproveState:
    """A login that was decided.

    Attributes:
        code: what a person would have typed.
        client: the program that asked.
        user: in whose name it was decided.
        approved: or refused.
        simulated: always true.
    """

    code: str
    client: str
    user: str
    approved: bool
    simulated: bool = True


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """Change the way to the ground; null keeps what is; a rate of 0 is no limit."""

    one_way_delay_s: float | None = None
    jitter_s: float | None = None
    loss: float | None = None
    rate_bps: float | None = None
    rate_down_bps: float | None = None


@dataclass(frozen=True, slots=True)
class FaultRequest:
    """Let something go wrong with a node of the mesh; an empty kind ends all its faults."""

    node: str
    kind: str = ""


@dataclass(slots=True)
class SiteControl:
    """A client of the running site.

    Args:
        url: the control endpoint.
        token: what it asks for.
        timeout_s: for each request.
    """

    url: str
    token: str = field(repr=False)
    timeout_s: float = TIMEOUT_S

    @classmethod
    def of(cls, site: Site) -> "SiteControl":
        """Talk to a running site."""
        return cls(site.control_url, site.control_token)

    def request_state(self) -> SiteState:
        """Ask how the site is."""
        return self._decode(self._request("GET", "/v1/status"), SiteState)

    def request_made(self) -> MadeState:
        """Ask what was made up to now."""
        return self._decode(self._request("GET", "/v1/made"), MadeState)

    def request_mesh(self) -> MeshState:
        """Ask how the nodes are, and what they have sent up to now."""
        return self._decode(self._request("GET", "/v1/mesh"), MeshState)

    def request_fault(self, request: FaultRequest) -> MeshState:
        """Let something go wrong with a node, or nothing any more."""
        return self._decode(self._request("POST", "/v1/fault", request), MeshState)

    def request_cut(self, request: CutRequest) -> SiteState:
        """Cut the sky."""
        return self._decode(self._request("POST", "/v1/cut", request), SiteState)

    def request_restore(self) -> SiteState:
        """Open the sky again."""
        return self._decode(self._request("POST", "/v1/restore", Nothing()), SiteState)

    def request_speed(self, speed: float) -> SiteState:
        """Change the speed of site time."""
        return self._decode(self._request("POST", "/v1/speed", SpeedRequest(speed)), SiteState)

    def request_event(self, kind: str) -> SiteState:
        """Let something happen."""
        return self._decode(self._request("POST", "/v1/event", EventRequest(kind)), SiteState)

    def request_link(self, request: LinkRequest) -> SiteState:
        """Change the way to the ground."""
        return self._decode(self._request("POST", "/v1/link", request), SiteState)

    def request_approval(self, request: ApproveRequest) -> ApproveState:
        """Approve or refuse a login."""
        return self._decode(self._request("POST", "/v1/approve", request), ApproveState)

    def request_stop(self) -> None:
        """Ask the site to end."""
        self._request("POST", "/v1/stop", Nothing())

    def _request(self, method: str, path: str, body: Any = None) -> bytes:
        place = urlsplit(self.url)
        connection = http.client.HTTPConnection(
            place.hostname or "127.0.0.1", place.port, timeout=self.timeout_s
        )
        headers = {"Authorization": f"Bearer {self.token}"}
        try:
            content = None if body is None else json.dumps(asdict(body)).encode()
            connection.request(method, path, content, headers)
            response = connection.getresponse()
            answer = response.read(BODY_MAX_BYTES + 1)
        except (OSError, http.client.HTTPException) as e:
            raise Unavailable(
                f"the simulated site does not answer at {self.url}: {e}",
                hint="dunes sim status",
                code="site-silent",
            ) from e
        finally:
            connection.close()
        if response.status == http.client.BAD_REQUEST:
            said = self._decode(answer, dict[str, str])
            raise UsageError(said.get("error", "refused by the site"), hint="dunes sim status")
        if response.status != http.client.OK:
            raise PeerError(
                f"the simulated site answered {response.status}", hint="dunes sim down"
            )
        return answer

    @staticmethod
    def _decode(answer: bytes, kind: type[Answer]) -> Answer:
        import msgspec

        try:
            return msgspec.json.decode(answer, type=kind)
        except msgspec.DecodeError as e:
            raise PeerError(
                f"the simulated site's answer cannot be read: {e}", hint="dunes sim down"
            ) from e
