"""The ground station's HTTP face, asked by a plain client."""

import asyncio
import contextlib
import json
import ssl
import time

import httpx
import pytest

from dunes.buffer.frame import make_frame
from dunes.buffer.payload import pack_readings
from dunes.buffer.records import Head
from dunes.crypto.signing import SigningKey
from dunes.errors import UsageError
from dunes.model import Priority, Reading
from dunes.secrets import Secret
from dunes.uplink import guard, request
from dunes.uplink.enroll import enroll, enroll_gateway, revoke_gateway
from dunes.uplink.ground import GroundStation
from dunes.uplink.protocol import BATCH_MAX_BYTES, Ask, encode_batch, split_batch
from dunes.uplink.receipt import parse_receipt
from dunes.uplink.server import serving
from dunes.uplink.tls import client_context, find_certificate

GATEWAY, TABLE, EPOCH = "gw-one", "lunar_telemetry", bytes(range(16))
PATH = f"/v1/streams/{GATEWAY}/{TABLE}"
KEY = {"authorization": "Bearer right"}
POSTING = KEY | {"dunes-epoch": EPOCH.hex()}


@pytest.fixture(scope="module")
def signer():
    return SigningKey.generate()


@pytest.fixture
def data(tmp_path, signer):
    enroll(tmp_path / "ground", GATEWAY, signer.public.pem, Secret("right"))
    return tmp_path / "ground"


@pytest.fixture
def served(data):
    """Run a coroutine against a ground station that serves."""

    def run(ask, **options):
        async def main():
            station = GroundStation.open(data, **options)
            certificate = find_certificate(data, "127.0.0.1")
            context = client_context(tls_sha256=certificate.sha256)
            try:
                async with (
                    serving(station, "127.0.0.1", 0, certificate) as running,
                    httpx.AsyncClient(
                        base_url=running.url, verify=context, trust_env=False
                    ) as client,
                ):
                    return await ask(client, running, station)
            finally:
                station.close()

        return asyncio.run(main())

    return run


def batch(signer, first=1, last=3, *, vouched=True, size=1):
    prev, frames = bytes(32), []
    for no in range(1, last + 1):
        readings = [Reading("d", "k", "x" * size, "", no, Priority.ROUTINE, no)]
        packed = pack_readings(readings, 2, level=0)
        frame = make_frame(packed, epoch=EPOCH, no=no, first_msg=no, prev_hash=prev)
        frames.append(frame)
        prev = frame.hash
    head = Head(GATEWAY, TABLE, EPOCH, 2, last, prev, last, 0, 5).sign(signer)
    records = [frame.encoded for frame in frames[first - 1 :]]
    return encode_batch([*records, head.encoded] if vouched else records)


def test_a_batch_is_answered_by_a_signed_receipt(served, signer):
    async def ask(client, running, station):
        answer = await client.post(PATH, content=batch(signer), headers=POSTING)
        again = await client.get(f"{PATH}/receipt?epoch={EPOCH.hex()}", headers=KEY)
        return answer, again, station.public

    answer, again, key = served(ask)
    for response in (answer, again):
        assert 200 == response.status_code
        ((_, record),) = split_batch(response.content)
        receipt = parse_receipt(record)
        receipt.verify(key)
        assert (1, 3, 3) == (receipt.receipt_no, receipt.lanes[2].cum, receipt.lanes[2].cum_msg)


def test_what_was_committed_is_there_after_a_restart(served, signer):
    async def first(client, _running, _station):
        await client.post(PATH, content=batch(signer, 2, 3), headers=POSTING)

    async def second(client, _running, _station):
        answer = await client.post(PATH, content=batch(signer, 1, 1), headers=POSTING)
        return parse_receipt(next(r for _, r in split_batch(answer.content)))

    served(first)
    receipt = served(second)
    lane = receipt.lanes[2]
    assert (3, 3, 2) == (lane.cum, lane.max_seen, receipt.receipt_no)


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": "Basic right"}]
)
def test_who_has_no_key_learns_nothing(served, signer, headers):
    async def ask(client, _running, _station):
        mine = await client.post(
            PATH, content=batch(signer), headers=headers | {"dunes-epoch": EPOCH.hex()}
        )
        nobody = await client.get("/v1/streams/gw-none/t/heads", headers=headers)
        return mine, nobody

    for answer in served(ask):
        assert 401 == answer.status_code
        assert "not-enrolled" == answer.json()["error"]["code"]
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_one_gateways_key_does_not_open_anothers_streams(served, signer):
    async def ask(client, _running, station):
        other = SigningKey.generate()
        enroll_gateway(station.buffer, "gw-two", other.public.spki_der, Secret("other"))
        headers = {"authorization": "Bearer other", "dunes-epoch": EPOCH.hex()}
        return await client.post(PATH, content=batch(signer), headers=headers)

    assert 401 == served(ask).status_code


def test_a_revoked_gateway_is_forbidden(served):
    async def ask(client, _running, station):
        revoke_gateway(station.buffer, GATEWAY)
        return await client.get(f"{PATH}/heads", headers=KEY)

    assert 403 == served(ask).status_code


def test_a_bad_record_is_named_by_its_index_and_nothing_is_stored(served, signer):
    async def ask(client, _running, station):
        whole = bytearray(batch(signer))
        whole[4 + 130] ^= 1  # within the first frame's body
        bent = await client.post(PATH, content=bytes(whole), headers=POSTING)
        unvouched = await client.post(PATH, content=batch(signer, vouched=False), headers=POSTING)
        other = encode_batch([Ask(GATEWAY, TABLE, bytes(16)).encoded])
        epoch = await client.post(PATH, content=other, headers=POSTING)
        return [bent, unvouched, epoch], station.buffer.streams()

    answers, streams = served(ask)
    assert [400] * 3 == [answer.status_code for answer in answers]
    assert [0, 2, 0] == [answer.json()["error"]["index"] for answer in answers]
    assert ["bad-record", "unvouched", "bad-record"] == [
        a.json()["error"]["code"] for a in answers
    ]
    assert [] == streams


def test_a_conflict_is_409_and_the_batch_is_kept(served, signer, data):
    async def ask(client, _running, _station):
        await client.post(PATH, content=batch(signer), headers=POSTING)
        return await client.post(PATH, content=batch(signer, size=2), headers=POSTING)

    answer = served(ask)
    assert 409 == answer.status_code
    assert ("conflict", 2, 3) == tuple(
        answer.json()["error"][key] for key in ("code", "lane", "no")
    )
    assert 1 == len(list((data / "rejected").iterdir()))


def test_a_body_over_the_limit_is_413_with_the_limit(served):
    async def by_hand(_client, running, _station):
        context = client_context(tls_sha256=running.tls_sha256)
        reader, writer = await asyncio.open_connection(running.host, running.port, ssl=context)
        rows = [f"POST {PATH} HTTP/1.1", "host: x"]
        rows += [f"{k}: {v}" for k, v in POSTING.items()]
        rows += [f"content-length: {BATCH_MAX_BYTES + 1}", "", ""]
        writer.write("\r\n".join(rows).encode())
        answer = await reader.read()
        writer.close()
        return answer

    answer = served(by_hand)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413")
    assert BATCH_MAX_BYTES == json.loads(body)["error"]["limit_bytes"]


def test_a_full_store_is_507_and_health_says_so(served, signer):
    async def ask(client, _running, station):
        station.quota_bytes = 1000
        answer = await client.post(PATH, content=batch(signer), headers=POSTING)
        return answer, await client.get("/healthz"), station.buffer.streams()

    answer, health, streams = served(ask)
    assert (507, "ground-full") == (answer.status_code, answer.json()["error"]["code"])
    assert (503, "full") == (health.status_code, health.json()["status"])
    assert [] == streams


def test_too_much_at_once_is_asked_to_come_later(served, signer, monkeypatch):
    monkeypatch.setattr(request, "IN_MEMORY_MAX_BYTES", 10)

    async def ask(client, _running, _station):
        return await client.post(PATH, content=batch(signer), headers=POSTING)

    answer = served(ask)
    assert (503, "2") == (answer.status_code, answer.headers["retry-after"])


def test_health_and_identity_are_open_to_all(served):
    async def ask(client, running, _station):
        return await client.get("/healthz"), await client.get("/v1/identity"), running

    health, identity, running = served(ask)
    assert (200, "ok", True) == (
        health.status_code,
        health.json()["status"],
        health.json()["writable"],
    )
    assert (running.kid, running.public_key) == (
        identity.json()["kid"],
        identity.json()["public_key"],
    )


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1/streams/gw-one", 404),
        ("GET", "/v1/streams/GW_BAD/t/heads", 404),
        ("DELETE", PATH, 405),
        ("GET", f"{PATH}/nothing", 405),
        ("GET", f"{PATH}/receipt?epoch=xyz", 400),
        ("GET", f"{PATH}/hashes?epoch={EPOCH.hex()}&lane=7", 400),
        ("GET", f"{PATH}/hashes?epoch={EPOCH.hex()}&lane=2", 404),
    ],
)
def test_what_is_not_served_is_said_in_json(served, method, path, status):
    async def ask(client, _running, _station):
        return await client.request(method, path, headers=KEY)

    answer = served(ask)
    assert status == answer.status_code
    assert answer.json()["error"]["message"]


def test_heads_and_hashes_tell_what_is_held(served, signer):
    async def ask(client, _running, _station):
        await client.post(PATH, content=batch(signer), headers=POSTING)
        heads = await client.get(f"{PATH}/heads", headers=KEY)
        query = f"epoch={EPOCH.hex()}&lane=2&after=1"
        return heads.json(), (await client.get(f"{PATH}/hashes?{query}", headers=KEY)).json()

    heads, hashes = served(ask)
    lane = heads["streams"][0]["lanes"]["2"]
    assert (3, 3, 3, 3) == tuple(lane[key] for key in ("cum", "max_seen", "frames", "readings"))
    assert [2, 3] == [no for no, _ in hashes["hashes"]]
    assert lane["cum_hash"] == hashes["hashes"][-1][1]


def test_a_connection_that_never_speaks_is_closed(served, monkeypatch):
    monkeypatch.setattr(guard.GuardedProtocol, "head_timeout_s", 0.3)

    async def ask(_client, running, _station):
        context = client_context(tls_sha256=running.tls_sha256)
        reader, writer = await asyncio.open_connection(running.host, running.port, ssl=context)
        writer.write(b"GET /healthz HTTP/1.1\r\n")
        began = time.monotonic()
        for _ in range(20):
            writer.write(b"x-slow: 1\r\n")
            await asyncio.sleep(0.05)
            if reader.at_eof():
                break
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await asyncio.wait_for(reader.read(), 2)
        writer.close()
        return time.monotonic() - began

    assert served(ask) < 1.8


def test_a_body_that_stops_coming_is_given_up(served, monkeypatch):
    monkeypatch.setattr(request, "CHUNK_TIMEOUT_S", 0.3)

    async def ask(_client, running, _station):
        context = client_context(tls_sha256=running.tls_sha256)
        reader, writer = await asyncio.open_connection(running.host, running.port, ssl=context)
        rows = [f"POST {PATH} HTTP/1.1", "host: x"]
        rows += [f"{k}: {v}" for k, v in POSTING.items()]
        rows += ["content-length: 1000", "", ""]
        writer.write("\r\n".join(rows).encode() + b"abc")
        answer = await asyncio.wait_for(reader.read(), 3)
        writer.close()
        return answer

    assert served(ask).startswith(b"HTTP/1.1 408")


def test_an_address_in_use_is_said(served, data):
    async def ask(_client, running, station):
        certificate = find_certificate(data, "127.0.0.1")
        with pytest.raises(UsageError, match="cannot listen on"):
            async with serving(station, "127.0.0.1", running.port, certificate):
                pass

    served(ask)


def test_the_certificate_stays_the_same_and_names_the_address(data):
    first, second = (find_certificate(data, "127.0.0.1") for _ in range(2))
    assert first == second
    assert 0o600 == first.key_path.stat().st_mode & 0o777
    context = ssl.create_default_context(cafile=first.cert_path)
    assert 1 == context.cert_store_stats()["x509"]
