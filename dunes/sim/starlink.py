"""The virtual Starlink: a dish and a router, each with its two servers on loopback.

Native gRPC with reflection (where grpcio-reflection is installed) and gRPC-Web, from
our own descriptor set: any standard client works against it unmodified.
"""

import socket
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from math import floor, inf
from typing import Any

import grpc

from dunes.clock import SYSTEM_CLOCK, US_PER_S, Clock
from dunes.errors import StorageError
from dunes.sim.grpcweb_server import GrpcWebServer
from dunes.sim.starlink_device import (
    WARM_S,
    Condition,
    Refusal,
    VirtualDevice,
    VirtualDish,
    VirtualRouter,
    World,
)
from dunes.sim.starlink_sky import HANDOVER_SHARE, Planned, VirtualSky, planned
from dunes.starlink.client import GRPC, GRPC_WEB, PORTS, join_address
from dunes.starlink.descriptors import HANDLE, SERVICE, DeviceApi, device_api

DISH_IP = "192.168.100.1"
ROUTER_IPS = ("192.168.1.1", "192.168.2.1")
"""The guide's two routers, on the Moon and on Mars; both lead to the one virtual router."""

WORKERS = 4
STATUS = {code.value[0]: code for code in grpc.StatusCode}


class VirtualStarlink:
    """A dish and a router under a sky that can be cut.

    Args:
        clock: the site's clock; a faster one makes time fly.
        schedule: outages to come, `[[start_s, duration_s, cause], …]` from the start on.
        seed: of the noise.
        host: to listen on; loopback unless somebody wants it otherwise.
        handover_share: share of seconds lost to ordinary handovers.
        bypassed: the router is in bypass mode: it stays silent.
    """

    def __init__(
        self,
        *,
        clock: Clock = SYSTEM_CLOCK,
        schedule: Iterable[Iterable[float | str]] = (),
        seed: int = 1,
        host: str = "127.0.0.1",
        handover_share: float = HANDOVER_SHARE,
        bypassed: bool = False,
    ) -> None:
        self._clock = clock
        self._host = host
        now_s = self.now_s()
        sky = VirtualSky(planned(schedule, now_s), seed, handover_share)
        condition = Condition(sky, floor(now_s) - WARM_S, bypassed=bypassed)
        self.world = World(self.now_s, condition)
        self._api = device_api({})
        self.dish = VirtualDish(self._api, self.world)
        self.router = VirtualRouter(self._api, self.world)
        self._closers: list[Callable[[], object]] = []

    # ------------------------------------------------------------------ life

    def start(self) -> dict[str, str]:
        """Open the servers.

        Returns:
            Where each address of the guide leads: `192.168.100.1:9200` → `127.0.0.1:43210`.

        Raises:
            StorageError: no port could be opened.
        """
        endpoints = {}
        for role, device, addresses in (
            ("dish", self.dish, (DISH_IP,)),
            ("router", self.router, ROUTER_IPS),
        ):
            if device is self.router and self.world.condition.bypassed:
                ports = {GRPC: self._serve_silence(), GRPC_WEB: self._serve_silence()}
            else:
                ports = {GRPC: self._serve_native(device), GRPC_WEB: self._serve_web(device)}
            for address in addresses:
                for transport, port in ports.items():
                    known = join_address(address, PORTS[role, transport])
                    endpoints[known] = join_address(self._host, port)
        return endpoints

    def stop(self) -> None:
        """Close the servers; calls under way end at once."""
        while self._closers:
            self._closers.pop()()

    def _serve_native(self, device: VirtualDevice) -> int:
        server = grpc.server(
            ThreadPoolExecutor(WORKERS, thread_name_prefix="starlink"),
            options=[("grpc.so_reuseport", 0)],
        )
        add_device_service(server, device, self._api)
        add_reflection(server, self._api)
        port = server.add_insecure_port(join_address(self._host, 0))
        if not port:
            raise StorageError(f"no port can be opened on {self._host}")
        server.start()
        self._closers.append(lambda: server.stop(0).wait())
        return int(port)

    def _serve_web(self, device: VirtualDevice) -> int:
        web = GrpcWebServer({HANDLE: device.handle}, device.busy, self._host)
        web.start()
        self._closers.append(web.stop)
        return web.port

    def _serve_silence(self) -> int:
        """Open a port that takes connections and never answers."""
        silence = socket.create_server((self._host, 0))
        self._closers.append(silence.close)
        return int(silence.getsockname()[1])

    # ------------------------------------------------------------------ control

    def now_s(self) -> float:
        """Give the site's time, Unix seconds."""
        return self._clock.unix_us() / US_PER_S

    @property
    def outage(self) -> Planned | None:
        """The outage that is going on."""
        return self.world.condition.sky.outage_at(self.now_s())

    @property
    def sky(self) -> VirtualSky:
        """The sky as it is planned by now."""
        return self.world.condition.sky

    def cut(self, duration_s: float | None = None, cause: str = "NO_SATS") -> Planned:
        """Take the sky away, for a time or until `restore`.

        Args:
            duration_s: seconds of the site's clock; None: until restored.
            cause: a name of `DishOutage.Cause`.
        """
        outage = Planned(self.now_s(), inf if duration_s is None else duration_s, cause)
        self.world.change(lambda c: replace(c, sky=c.sky.with_outage(outage)))
        return outage

    def restore(self) -> None:
        """Give the sky back: whatever outage is going on ends now."""
        now_s = self.now_s()
        self.world.change(lambda c: replace(c, sky=c.sky.restored(now_s)))

    def reboot(self) -> None:
        """Restart the devices, as a firmware update does at night."""
        self.world.reboot()

    def set_condition(self, **changes: Any) -> None:
        """Change what else the devices tell: `alerts`, `disablement`, `unlocked`."""
        self.world.change(lambda c: replace(c, **changes))


def add_device_service(server: grpc.Server, device: VirtualDevice, api: DeviceApi) -> None:
    """Offer `Handle` and `Stream` of the device API."""
    to_device, from_device = api.message("ToDevice"), api.message("FromDevice")

    def handle(raw: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            return device.handle(raw)
        except Refusal as e:
            context.abort(STATUS[e.status], e.text)

    def stream(messages: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        for message in messages:
            answer: Any = from_device()
            if message.HasField("health_check"):
                answer.health_check.SetInParent()
            else:
                raw = message.request.SerializeToString()
                answer.response.ParseFromString(handle(raw, context))
            yield answer

    handlers = {
        "Handle": grpc.unary_unary_rpc_method_handler(handle),
        "Stream": grpc.stream_stream_rpc_method_handler(
            stream, to_device.FromString, from_device.SerializeToString
        ),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))


def add_reflection(server: grpc.Server, api: DeviceApi) -> bool:
    """Offer `grpc.reflection.v1alpha`, as devices do; false where the package is not installed."""
    try:
        from grpc_reflection.v1alpha import reflection
    except ImportError:
        return False
    reflection.enable_server_reflection((SERVICE, reflection.SERVICE_NAME), server, pool=api.pool)
    return True
