"""What can stand where a dish should be, and what a dish can do wrong.

Each peer is a real server on loopback. Every failure has its reason, comes within the
time limit, and never as an error of the libraries below.
"""

import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from math import nan

import grpc
import pytest

from dunes.clock import Clock
from dunes.sim.grpcweb_server import GrpcWebServer
from dunes.sim.starlink import VirtualStarlink, add_device_service
from dunes.sim.starlink_device import Refusal, VirtualDish
from dunes.starlink.client import DeviceClient, Target
from dunes.starlink.descriptors import HANDLE, device_api
from dunes.starlink.errors import Reason, StarlinkError
from dunes.starlink.grpcweb import encode_frame, encode_trailers
from dunes.starlink.link import LinkWatch
from dunes.starlink.memory import LinkMemory
from dunes.starlink.monitor import State
from dunes.starlink.probe import probe

API = device_api({})
T0 = 1_800_000_000.0
TRANSPORTS = ["grpc", "grpc-web"]


def target(port: int, transport: str, role: str = "dish", host: str = "127.0.0.1") -> Target:
    return Target(role, transport, host, port, host, port, simulated=True)


def reason_of(port: int, transport: str, timeout_s: float = 1.0) -> Reason:
    with (
        DeviceClient([target(port, transport)], timeout_s=timeout_s) as client,
        pytest.raises(StarlinkError) as caught,
    ):
        client.ask("get_status")
    return caught.value.reason


@contextmanager
def listening(serve: Callable[[socket.socket], None] | None) -> Iterator[int]:
    """Listen; give each connection to `serve`, or to nobody."""
    server = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            held.append(connection)
            if serve is not None:
                try:
                    serve(connection)
                except OSError:
                    connection.close()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        for connection in held:
            connection.close()
        thread.join()


@contextmanager
def native(handle: Callable[[bytes], bytes]) -> Iterator[int]:
    """Serve the device API by gRPC, answered by `handle`."""

    class Device:
        pass

    device = Device()
    device.handle = handle
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
    add_device_service(server, device, API)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(0).wait()


@contextmanager
def web(handle: Callable[[bytes], bytes]) -> Iterator[int]:
    """Serve the device API by gRPC-Web."""
    server = GrpcWebServer({HANDLE: handle}, lambda: False)
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


@contextmanager
def website(status: int, body: bytes, headers: dict[str, str]) -> Iterator[int]:
    """Serve the same answer to everything."""

    class Page(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "content-length" not in headers:
                self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        def log_message(self, *args) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


SERVE = {"grpc": native, "grpc-web": web}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def answer_of(kind: str, **fields) -> bytes:
    response = API.message("Response")()
    body = getattr(response, kind)
    body.SetInParent()
    for name, value in fields.items():
        setattr(body, name, value)
    return response.SerializeToString()


# ---------------------------------------------------------------- who is there


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_closed_port_is_refused_at_once(transport):
    began = time.monotonic()
    assert Reason.REFUSED is reason_of(free_port(), transport)
    assert time.monotonic() - began < 0.5


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_silent_socket_is_a_timeout_within_the_limit(transport):
    with listening(None) as port:
        began = time.monotonic()
        assert Reason.TIMEOUT is reason_of(port, transport, timeout_s=0.4)
        assert 0.3 < time.monotonic() - began < 1.0


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_name_that_does_not_resolve_is_no_route(transport):
    with (
        DeviceClient([target(9200, transport, host="dish.invalid")], timeout_s=2) as client,
        pytest.raises(StarlinkError) as caught,
    ):
        client.ask("get_status")
    assert Reason.NO_ROUTE is caught.value.reason


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_server_of_another_protocol_is_not_starlink(transport):
    def ssh(connection: socket.socket) -> None:
        connection.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
        connection.recv(4096)
        connection.close()

    with listening(ssh) as port:
        assert Reason.NOT_STARLINK is reason_of(port, transport)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_server_that_hangs_up_is_not_starlink(transport):
    with listening(lambda connection: connection.close()) as port:
        assert reason_of(port, transport) in {Reason.NOT_STARLINK, Reason.UNAVAILABLE}


HTML = {"content-type": "text/html"}
GRPC_WEB = {"content-type": "application/grpc-web+proto"}


@pytest.mark.parametrize(
    ("status", "body", "headers", "reason"),
    [
        (200, b"<html>another vendor's router</html>", HTML, Reason.NOT_STARLINK),
        (200, b"", {}, Reason.NOT_STARLINK),
        (200, b"", GRPC_WEB, Reason.NOT_STARLINK),
        (302, b"", {"location": "http://127.0.0.1:1/login"}, Reason.NOT_STARLINK),
        (401, b"who are you", HTML, Reason.NOT_STARLINK),
        (404, b"", HTML, Reason.NOT_STARLINK),
        (503, b"busy", HTML, Reason.UNAVAILABLE),
        (200, encode_frame(b"\x08\x01")[:6], GRPC_WEB, Reason.PROTOCOL),
        (200, b"\x00\xff\xff\xff\xff", GRPC_WEB, Reason.PROTOCOL),
        (200, encode_frame(b"\xff" * 9) + encode_trailers(0), GRPC_WEB, Reason.PROTOCOL),
        (200, encode_frame(b"x", 1), GRPC_WEB, Reason.PROTOCOL),
        (200, b"cut short", {**GRPC_WEB, "content-length": "50"}, Reason.NOT_STARLINK),
    ],
)
def test_a_web_server_is_judged_by_its_answer(status, body, headers, reason):
    with website(status, body, headers) as port:
        assert reason is reason_of(port, "grpc-web")


def test_a_web_server_is_no_grpc_server():
    with website(200, b"<html>", HTML) as port:
        assert Reason.NOT_STARLINK is reason_of(port, "grpc")


def test_an_endless_answer_is_cut_off():
    def flood(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc-web\r\n\r\n")
        while True:
            connection.sendall(b"\x00" * 65536)

    with listening(flood) as port:
        assert Reason.NOT_STARLINK is reason_of(port, "grpc-web", timeout_s=10)


def test_a_trickling_answer_ends_with_the_time_limit():
    def trickle(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc-web\r\n\r\n")
        for _ in range(100):
            connection.sendall(b"\x00")
            time.sleep(0.05)

    with listening(trickle) as port:
        began = time.monotonic()
        assert Reason.TIMEOUT is reason_of(port, "grpc-web", timeout_s=0.5)
        assert time.monotonic() - began < 1.5


# ---------------------------------------------------------------- what a dish says


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (7, Reason.DENIED),
        (12, Reason.UNIMPLEMENTED),
        (13, Reason.PROTOCOL),
        (14, Reason.UNAVAILABLE),
        (16, Reason.DENIED),
    ],
)
def test_a_status_has_its_reason(transport, status, reason):
    def refuse(_raw: bytes) -> bytes:
        raise Refusal(status)

    with SERVE[transport](refuse) as port:
        assert reason is reason_of(port, transport)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_status_within_the_answer_counts_too(transport):
    response = API.message("Response")()
    response.status.code = 7
    response.status.message = "no"
    raw = response.SerializeToString()
    with SERVE[transport](lambda _: raw) as port:
        assert Reason.DENIED is reason_of(port, transport)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("raw", [b"\xff\xff\xff", b"\x0a"])
def test_bytes_that_are_no_answer_break_the_protocol(transport, raw):
    with SERVE[transport](lambda _: raw) as port:
        assert Reason.PROTOCOL is reason_of(port, transport)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("raw", [b"", bytes.fromhex("fae90400")])
def test_an_answer_of_an_unknown_kind_is_told_as_such(transport, raw):
    with SERVE[transport](lambda _: raw) as port:
        findings = probe([target(port, transport)], timeout_s=2, unix_s=T0)
    assert findings.verdicts[0].verdict == "protocol"
    assert findings.devices == {}


def test_firmware_that_knows_diagnostics_only_is_found():
    diagnostics = answer_of("dish_get_diagnostics", id="ut-old", software_version="2023.51")

    def old(raw: bytes) -> bytes:
        if raw != API.request("get_diagnostics").SerializeToString():
            raise Refusal(12)
        return diagnostics

    with native(old) as port:
        findings = probe([target(port, "grpc")], timeout_s=2, unix_s=T0)
        watch = LinkWatch(DeviceClient([target(port, "grpc")], timeout_s=2))
        status = watch.poll()
        watch.close()
    assert findings.devices["dish"].id == "ut-old"
    assert (status.state, status.device.software) == ("unknown", "2023.51")


def test_a_grpc_server_of_another_service_is_not_starlink():
    server = grpc.server(ThreadPoolExecutor(1), options=[("grpc.so_reuseport", 0)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        findings = probe([target(port, "grpc")], timeout_s=2, unix_s=T0)
    finally:
        server.stop(0).wait()
    assert findings.verdicts[0].verdict == "not-starlink"


def test_everything_locked_is_denied():
    def locked(_raw: bytes) -> bytes:
        raise Refusal(7)

    with web(locked) as port:
        findings = probe([target(port, "grpc-web")], timeout_s=2, unix_s=T0)
    assert findings.verdicts[0].verdict == "denied"


# ---------------------------------------------------------------- two transports


def test_one_blocked_port_leaves_the_other():
    with web(lambda _: answer_of("dish_get_status")) as port:
        closed = target(free_port(), "grpc")
        open_ = target(port, "grpc-web")
        with DeviceClient([closed, open_], timeout_s=2) as client:
            client.ask("get_status")
            assert open_ == client.used


def test_a_filtered_port_costs_its_share_of_the_limit_only_once():
    with listening(None) as silent, web(lambda _: answer_of("dish_get_status")) as port:
        pair = [target(silent, "grpc"), target(port, "grpc-web")]
        with DeviceClient(pair, timeout_s=1) as client:
            began = time.monotonic()
            client.ask("get_status")
            assert time.monotonic() - began < 1.0
            began = time.monotonic()
            client.ask("get_status")
            assert time.monotonic() - began < 0.3


def test_a_failure_of_both_says_how_each_failed():
    with listening(None) as silent:
        pair = [target(free_port(), "grpc"), target(silent, "grpc-web")]
        with (
            DeviceClient(pair, timeout_s=0.5) as client,
            pytest.raises(StarlinkError, match=r"\(gRPC\): the port is closed; .*no answer in"),
        ):
            client.ask("get_status")


def test_a_refusal_is_not_asked_for_again_elsewhere():
    asked = []

    def locked(raw: bytes) -> bytes:
        asked.append(raw)
        raise Refusal(7)

    with native(locked) as one, web(locked) as two:
        pair = [target(one, "grpc"), target(two, "grpc-web")]
        with DeviceClient(pair, timeout_s=2) as client, pytest.raises(StarlinkError):
            client.ask("reboot")
    assert len(asked) == 1


def test_four_silent_endpoints_are_probed_within_one_limit():
    with ExitStack() as stack:
        ports = [stack.enter_context(listening(None)) for _ in range(4)]
        targets = [
            target(port, transport, role)
            for port, (role, transport) in zip(
                ports,
                [
                    ("dish", "grpc"),
                    ("dish", "grpc-web"),
                    ("router", "grpc"),
                    ("router", "grpc-web"),
                ],
                strict=True,
            )
        ]
        began = time.monotonic()
        findings = probe(targets, timeout_s=0.5, unix_s=T0)
        assert time.monotonic() - began < 1.5
    assert ["timeout"] * 4 == [v.verdict for v in findings.verdicts]
    assert any("dunes sim up" in hint for hint in findings.hints)
    assert any("ip route" in hint for hint in findings.hints)


# ---------------------------------------------------------------- a dish gone strange


class Hands:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.monotonic_s = 1000.0
        self.unix_s = T0
        self.clock = Clock(lambda: self.monotonic_s, lambda: round(self.unix_s * 1e6))

    def pass_s(self, seconds: float) -> None:
        self.monotonic_s += seconds
        self.unix_s += seconds


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def strange(hands) -> Iterator[tuple[VirtualStarlink, LinkWatch, dict]]:
    """A virtual dish whose answers the test may alter, and a watch on it."""
    starlink = VirtualStarlink(clock=hands.clock, handover_share=0.0)
    alter: dict[str, Callable] = {}
    plain = VirtualDish.answer

    def answer(request):
        response = plain(starlink.dish, request)
        kind = response.WhichOneof("response")
        if kind in alter:
            alter[kind](getattr(response, kind))
        return response

    starlink.dish.answer = answer
    with native(starlink.dish.handle) as port:
        watch = LinkWatch(DeviceClient([target(port, "grpc")], timeout_s=2), clock=hands.clock)
        yield starlink, watch, alter
        watch.close()


def poll(watch: LinkWatch, hands: Hands, times: int, every_s: float = 5.0) -> list[str]:
    states = []
    for _ in range(times):
        hands.pass_s(every_s)
        states.append(watch.poll().state)
    return states


def test_samples_that_are_no_numbers_are_skipped(strange, hands):
    _, watch, alter = strange

    def spoil(history) -> None:
        for slot in range(0, 900, 2):
            history.pop_ping_drop_rate[slot] = nan

    alter["dish_get_history"] = spoil
    assert {"up"} == set(poll(watch, hands, 4))


def test_a_short_ring_is_walked_by_its_length(strange, hands):
    starlink, watch, alter = strange

    def shorten(history) -> None:
        current, drops = history.current, list(history.pop_ping_drop_rate)
        recent = [drops[k % 900] for k in range(current - 20, current)]
        del history.pop_ping_drop_rate[:]
        slots = [0.0] * 20
        for k, drop in zip(range(current - 20, current), recent, strict=True):
            slots[k % 20] = drop
        history.pop_ping_drop_rate.extend(slots)
        del history.pop_ping_latency_ms[5:]

    alter["dish_get_history"] = shorten
    assert ["up"] == poll(watch, hands, 1)
    starlink.cut(None)
    assert poll(watch, hands, 3)[-1] == "down"


def test_an_empty_ring_stands_on_the_outage_alone(strange, hands):
    starlink, watch, alter = strange
    poll(watch, hands, 1)
    alter["dish_get_history"] = lambda history: history.Clear()
    starlink.cut(None, "OBSTRUCTED")
    assert poll(watch, hands, 3)[-1] == "down"
    assert watch.monitor.cause == "OBSTRUCTED"


def test_an_unknown_cause_is_shown_as_its_number(strange, hands):
    starlink, watch, alter = strange
    poll(watch, hands, 1)
    starlink.cut(None)

    def newer(status) -> None:
        status.outage.cause = 42

    alter["dish_get_status"] = newer
    poll(watch, hands, 3)
    assert (watch.monitor.state, watch.monitor.cause) == (State.DOWN, "42")


def test_a_counter_that_starts_again_does_no_harm(strange, hands):
    _, watch, alter = strange
    poll(watch, hands, 3)

    def restart(history) -> None:
        history.current = 20
        del history.pop_ping_drop_rate[:]
        history.pop_ping_drop_rate.extend([0.0] * 900)

    alter["dish_get_history"] = restart
    assert {"up"} == set(poll(watch, hands, 3))


@pytest.mark.parametrize("jump_s", [-86_400.0, -30.0, 30.0, 86_400.0, 10 * 365 * 86_400.0])
def test_a_jump_of_our_wall_clock_changes_no_verdict(strange, hands, jump_s):
    starlink, watch, _ = strange
    poll(watch, hands, 3)
    dish_time = starlink.world.now_s
    hands.unix_s += jump_s
    shift = jump_s

    def steady() -> float:
        return dish_time() - shift

    starlink.world.now_s = steady
    assert {"up"} == set(poll(watch, hands, 3))


def test_a_dish_that_goes_silent_and_returns_tells_its_story(hands, tmp_path):
    starlink = VirtualStarlink(clock=hands.clock, handover_share=0.0)
    memory = LinkMemory(tmp_path / "link.json")
    with ExitStack() as power:
        port = power.enter_context(native(starlink.dish.handle))
        here = target(port, "grpc")
        watch = LinkWatch(DeviceClient([here], timeout_s=0.5), memory=memory, clock=hands.clock)
        assert ["up"] == poll(watch, hands, 1)
        power.close()
        assert ["up", "up", "unreachable"] == poll(watch, hands, 3)
        assert "the port is closed" in watch.poll().trouble
        watch.remember()
        watch.close()
    with native(starlink.dish.handle) as port:
        client = DeviceClient([target(port, "grpc")], timeout_s=2)
        again = LinkWatch(client, memory=memory, clock=hands.clock)
        assert ["down", "down", "down", "up"] == poll(again, hands, 4)
        again.close()


def test_a_silent_dish_is_witnessed_by_its_router(hands):
    starlink = VirtualStarlink(clock=hands.clock, handover_share=0.0)
    starlink.cut(None)
    with native(starlink.router.handle) as port:
        watch = LinkWatch(
            DeviceClient([target(free_port(), "grpc")], timeout_s=0.5),
            witness=DeviceClient([target(port, "grpc", "router")], timeout_s=1),
            clock=hands.clock,
        )
        hands.pass_s(5)
        status = watch.poll()
        watch.close()
    assert status.state == "unreachable"
    assert (status.witness.cable_drop_rate, status.witness.sky_drop_rate) == (0.0, 1.0)


def test_a_router_alone_can_stand_for_the_link(hands):
    starlink = VirtualStarlink(clock=hands.clock, handover_share=0.0)
    with native(starlink.router.handle) as port:
        client = DeviceClient([target(port, "grpc", "router")], timeout_s=2)
        watch = LinkWatch(client, clock=hands.clock)
        assert ["up"] * 2 == poll(watch, hands, 2)
        starlink.cut(None)
        assert ["up", "down"] == poll(watch, hands, 2)
        starlink.restore()
        assert ["down", "down", "up"] == poll(watch, hands, 3)
        watch.close()


def test_after_a_long_absence_the_channel_is_back_at_once(hands):
    """The defaults of grpcio would stay away for seconds to minutes."""
    port = free_port()
    starlink = VirtualStarlink(clock=hands.clock)
    with DeviceClient([target(port, "grpc")], timeout_s=0.5) as client:
        for _ in range(6):
            with pytest.raises(StarlinkError):
                client.ask("get_status")
            time.sleep(0.25)
        server = grpc.server(ThreadPoolExecutor(1), options=[("grpc.so_reuseport", 0)])
        add_device_service(server, starlink.dish, API)
        server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()
        began = time.monotonic()
        try:
            while True:
                try:
                    client.ask("get_status")
                    break
                except StarlinkError:
                    assert time.monotonic() - began < 3.0
                    time.sleep(0.1)
        finally:
            server.stop(0).wait()
