"""gRPC-Web clients and servers of others, against our two ends.

The client in this file is written from the protocol's description alone, on
http.client. sonora (PyPI) speaks for the libraries: it needs an older grpcio than
ours, so it runs in an interpreter of its own where there is one.
"""

import base64
import http.client
import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dunes.sim.starlink import VirtualStarlink
from dunes.starlink.client import DeviceClient, Target
from dunes.starlink.errors import Locked, NotOffered

HANDLE = "/SpaceX.API.Device.Device/Handle"
BINARY = "application/grpc-web+proto"
VECTORS = json.loads((Path(__file__).parents[1] / "vectors/starlink/requests.json").read_text())[
    "cases"
]
FRAMES = {case["ask"]: bytes.fromhex(case["frame"]) for case in VECTORS}
PEERS = Path(__file__).with_name("peers")


@pytest.fixture(scope="module")
def virtual() -> Iterator[VirtualStarlink]:
    starlink = VirtualStarlink()
    starlink.endpoints = starlink.start()
    yield starlink
    starlink.stop()


@pytest.fixture
def connection(virtual) -> Iterator[http.client.HTTPConnection]:
    host, _, port = virtual.endpoints["192.168.100.1:9201"].partition(":")
    http_connection = http.client.HTTPConnection(host, int(port), timeout=5)
    yield http_connection
    http_connection.close()


def split(body: bytes) -> list[tuple[int, bytes]]:
    frames = []
    while body:
        flag, size = struct.unpack(">BI", body[:5])
        frames.append((flag, body[5 : 5 + size]))
        assert len(body) >= 5 + size
        body = body[5 + size :]
    return frames


def post(connection, body, headers=(), **more) -> tuple[int, bytes]:
    connection.request("POST", HANDLE, body, {"content-type": BINARY, **dict(headers)}, **more)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_a_published_request_gets_a_message_and_a_good_status(connection):
    status, body = post(connection, FRAMES["get_status"])
    (message_flag, message), (trailer_flag, trailers) = split(body)
    assert (200, 0, 0x80) == (status, message_flag, trailer_flag)
    assert b"utSIMULATED" in message
    assert trailers == b"grpc-status: 0\r\n"


def test_a_connection_serves_many_calls(connection):
    sockets = set()
    for _ in range(3):
        assert post(connection, FRAMES["get_status"])[0] == 200
        sockets.add(connection.sock)
    assert len(sockets) == 1


def test_a_chunked_body_is_read(connection):
    whole = FRAMES["get_status"]
    pieces = iter([whole[:1], whole[1:6], whole[6:]])
    _, body = post(
        connection, pieces, encode_chunked=True, headers={"Transfer-Encoding": "chunked"}
    )
    assert split(body)[-1][1] == b"grpc-status: 0\r\n"
    assert post(connection, whole)[0] == 200


def test_the_text_form_is_spoken_too(connection):
    connection.request(
        "POST",
        HANDLE,
        base64.b64encode(FRAMES["get_status"]),
        {"content-type": "application/grpc-web-text+proto"},
    )
    answer = connection.getresponse()
    assert answer.headers["content-type"].startswith("application/grpc-web-text")
    assert split(base64.b64decode(answer.read()))[-1][1] == b"grpc-status: 0\r\n"


@pytest.mark.parametrize(
    ("ask", "trailers"),
    [
        ("reboot", b"grpc-status: 7\r\n"),
        ("wifi_get_clients", b"grpc-status: 12\r\n"),
    ],
)
def test_a_refusal_is_a_status_in_the_trailers(connection, ask, trailers):
    status, body = post(connection, FRAMES[ask])
    [(flag, told)] = split(body)
    assert (200, 0x80) == (status, flag)
    assert told.startswith(trailers)


@pytest.mark.parametrize("name", ["Referer", "Origin"])
def test_a_foreign_page_gets_an_empty_answer(connection, name):
    headers = {name: "http://evil.example/page"}
    assert post(connection, FRAMES["get_status"], headers) == (200, b"")
    own = {name: f"http://{connection.host}:{connection.port}"}
    assert len(post(connection, FRAMES["get_status"], own)[1]) > 50


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {"content-length": "x"}, 411),
        (b"", {"content-length": "1000001"}, 413),
        (b"zz\r\n", {"transfer-encoding": "chunked"}, 400),
        (b"-5\r\n", {"transfer-encoding": "chunked"}, 400),
        (b"f4240f\r\n", {"transfer-encoding": "chunked"}, 413),
        (b"3\r\nabcX\r\n0\r\n\r\n", {"transfer-encoding": "chunked"}, 400),
        (b"", {"transfer-encoding": "gzip"}, 501),
    ],
)
def test_a_body_that_http_forbids_is_refused_and_the_connection_closed(
    connection, body, headers, status
):
    connection.putrequest("POST", HANDLE)
    connection.putheader("content-type", BINARY)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    assert (status, "close") == (answer.status, answer.headers["connection"])


@pytest.mark.parametrize("body", [b"", b"\x00\x00", FRAMES["get_status"] * 2, b"\xff" * 20])
def test_a_body_that_is_no_call_gets_an_internal_error(connection, body):
    _, answer = post(connection, body)
    assert split(answer)[-1][1].startswith(b"grpc-status: 13\r\n")


def test_another_path_or_type_is_not_answered_as_a_call(connection):
    connection.request("POST", "/elsewhere", b"", {"content-type": BINARY})
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 404
    assert post(connection, b"{}", {"content-type": "application/json"})[0] == 415


# ---------------------------------------------------------------- sonora


def peer_python() -> str:
    """Find an interpreter that has sonora."""
    root = Path(__file__).parents[2]
    for python in (os.environ.get("DUNES_PEER_PYTHON"), root / ".venv-peer/bin/python",
                   sys.executable):  # fmt: skip
        if python and Path(python).exists():
            found = subprocess.run(
                [python, "-c", "import sonora"], capture_output=True, check=False
            )
            if found.returncode == 0:
                return str(python)
    pytest.skip("needs an interpreter with sonora: DUNES_PEER_PYTHON or .venv-peer")


def test_sonoras_client_is_answered(virtual):
    address = virtual.endpoints["192.168.100.1:9201"]
    ran = subprocess.run(
        [peer_python(), PEERS / "sonora_client.py", f"http://{address}"],
        input=json.dumps({name: frame[5:].hex() for name, frame in FRAMES.items()}),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    told = json.loads(ran.stdout)
    assert "utSIMULATED" in bytes.fromhex(told["get_status"]["message"]).decode("latin-1")
    assert ["OK", "PERMISSION_DENIED", "UNIMPLEMENTED"] == [
        told[ask]["code"] for ask in ("get_history", "reboot", "wifi_get_clients")
    ]


def test_our_client_reads_sonoras_server(virtual):
    """A foreign gRPC-Web server in front of the virtual dish's answers."""
    answer = virtual.dish.handle(FRAMES["get_status"][5:])
    with subprocess.Popen(
        [peer_python(), PEERS / "sonora_server.py", answer.hex()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            port = int(server.stdout.readline())
            target = Target("dish", "grpc-web", "127.0.0.1", port, "127.0.0.1", port, True)
            with DeviceClient([target], timeout_s=5) as client:
                told = client.ask("get_status").dish_get_status
                assert told.device_info.id == "utSIMULATED-00000001"
                with pytest.raises(Locked):
                    client.ask("reboot")
                with pytest.raises(NotOffered):
                    client.ask("get_ping")
        finally:
            server.terminate()
