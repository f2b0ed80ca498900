"""How fast a buffer reaches the ground station; against one POST per reading in the same run.

    python benchmarks/bench_sync.py [--quick]

Real programs: `mcp ground-station serve` and `mcp sync`, TLS and signatures included, the
ground station durable (FULL), behind a link of 40 ms round trip, then of 10 Mbit/s too. The
baseline posts one JSON reading per request over the same link, kept alive, to a receiver
that commits each durably before it answers. Promises, of which the ratios can be compared
between machines:

    40 ms round trip                 at least 1,000 times the baseline
    40 ms and 10 Mbit/s              frames fill at least 90 % of the wire
    memory of `mcp sync`             below 150 MB whatever the backlog
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import resource
import signal
import sqlite3
import ssl
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

SCRIPTS = Path(sysconfig.get_path("scripts"))
TABLE = "lunar_telemetry"
PER_FRAME = 200
RTT_S = 0.04
RATE_BPS = 10e6
BASELINE_S = 6.0
MEMORY_LIMIT_MB = 150


# -- children --------------------------------------------------------------------------


def run_link(target_port, rate_bps):
    """Carry connections over the link; print the port, then go on until ended."""
    from dunes.sim.line import Line
    from dunes.sim.sky import Sky

    async def main():
        def line():
            return Line(delay_s=RTT_S / 2, rate_bps=rate_bps or None)

        sky = Sky(line(), line())
        print(await sky.listen("127.0.0.1", 0, ("127.0.0.1", target_port)), flush=True)
        await asyncio.Event().wait()

    asyncio.run(main())


def run_baseline(folder):
    """Take one reading per POST, durably; print the port, then go on until ended."""
    import socket

    import uvicorn

    database = sqlite3.connect(Path(folder) / "rows.db", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE reading (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")

    async def app(_scope, receive, send):
        body = b""
        while True:
            event = await receive()
            body += event.get("body", b"")
            if not event.get("more_body"):
                break
        database.execute("INSERT INTO reading (body) VALUES (?)", (body.decode(),))
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_keep_alive=300,
        ssl_certfile=str(Path(folder) / "cert.pem"),
        ssl_keyfile=str(Path(folder) / "key.pem"),
    )
    uvicorn.Server(config).run(sockets=[listener])


@contextlib.contextmanager
def child(*argv, env=None, ready=int):
    process = subprocess.Popen(
        [*map(str, argv)], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        yield ready(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def link(port, rate_bps=0):
    return child(sys.executable, __file__, "--link", port, "--rate", rate_bps)


# -- what is measured --------------------------------------------------------------------


def measure_baseline(folder, seconds):
    """Give readings a second, one POST each, each answered before the next."""
    import httpx

    from dunes.uplink.tls import find_certificate

    certificate = find_certificate(folder, "127.0.0.1")
    context = ssl.create_default_context(cafile=certificate.cert_path)
    with (
        child(sys.executable, __file__, "--baseline", certificate.cert_path.parent) as port,
        link(port) as far,
        httpx.Client(
            base_url=f"https://127.0.0.1:{far}", verify=context, trust_env=False
        ) as client,
    ):
        row = {"device": "hab-1", "kind": "co2", "value": 412.5, "unit": "ppm", "ts_us": 1}
        client.post("/", content=json.dumps(row))
        began, n = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            client.post("/", content=json.dumps(row | {"seq": n})).raise_for_status()
            n += 1
        return n / (time.perf_counter() - began)


def fill(settings, identity, frames):
    """Write a backlog of slowly moving values; give its readings and bytes."""
    from dunes.buffer.appender import Appender
    from dunes.buffer.store import open_buffer
    from dunes.model import Priority, Reading

    dice = random.Random(7)
    values = dict.fromkeys(("co2", "o2", "temperature", "pressure"), 100.0)
    with open_buffer(settings, settings["gateway.id"]) as buffer:
        appender = Appender(buffer, TABLE, signer=identity.signing)
        seq = 0
        for _ in range(frames):
            for _ in range(PER_FRAME):
                seq += 1
                kind = ("co2", "o2", "temperature", "pressure")[seq % 4]
                values[kind] = round(values[kind] + dice.gauss(0, 5), 4)
                appender.add(
                    Reading(
                        f"hab-sensor-{seq % 6:03d}",
                        kind,
                        values[kind],
                        "",
                        1_800_000_000_000_000 + seq * 500 + dice.randrange(400),
                        Priority.ROUTINE,
                        seq,
                    )
                )
            appender.commit()
        appender.close()
        stream = buffer.streams(TABLE)[-1]
        with buffer.reading() as connection:
            lane = buffer.lanes(connection, stream)[2]
    return lane.msgs, lane.size_bytes


def measure_sync(folder, frames, rate_bps):
    """Give what `mcp sync` reports, the backlog's bytes, and its peak memory in MB."""
    from dunes.crypto.identity import ensure_identity
    from dunes.paths import find_paths
    from dunes.secrets import Secret, store_secret
    from dunes.settings import load, write_profile
    from dunes.uplink.enroll import enroll
    from dunes.uplink.grounddir import station_identity
    from dunes.uplink.target import gateway_name, pin_key

    folder.mkdir()
    environ = {"DUNES_HOME": str(folder / "gateway"), "PATH": os.environ["PATH"]}
    paths = find_paths(environ)
    identity = ensure_identity(paths)
    store_secret(paths, "api-key", Secret("a-key-for-this-benchmark"))
    data = folder / "ground"
    gateway = gateway_name(load(environ, paths=paths, folder=folder), identity.kid)
    enroll(data, gateway, identity.signing.public.pem, Secret("a-key-for-this-benchmark"))
    pin_key(paths, "earth-gs", station_identity(data).signing.public)
    with child(
        SCRIPTS / "mcp", "ground-station", "serve", "--listen", "127.0.0.1:0", "--data", data,
        "--json", env=environ, ready=json.loads,
    ) as ready, link(ready["url"].rpartition(":")[2], rate_bps) as far:  # fmt: skip
        entry = {"url": f"https://127.0.0.1:{far}", "tls_sha256": ready["tls_sha256"]}
        settings = load(environ, paths=paths, folder=folder)
        write_profile(
            settings, {"gateway.id": gateway, "uplink.destinations": {"earth-gs": entry}}
        )
        readings, size = fill(load(environ, paths=paths, folder=folder), identity, frames)
        done = subprocess.run(
            [sys.executable, __file__, "--sync"],
            env=environ,
            capture_output=True,
            text=True,
            check=True,
        )
    report, memory_kb = (json.loads(row) for row in done.stdout.splitlines())
    assert report["complete"], report
    assert readings == report["readings"], report
    return report, size, memory_kb / 1000


def run_sync():
    """Run `mcp sync` in this process, then print its peak memory."""
    from dunes.console import run
    from dunes_mcp.cli import app

    status = run(app, "mcp", ["sync", "--buffer", "lunar-data", "--json", "--timeout", "60s"])
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    sys.exit(status)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the backlog")
    parser.add_argument("--link", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--rate", type=float, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--baseline", help=argparse.SUPPRESS)
    parser.add_argument("--sync", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.link:
        run_link(given.link, given.rate)
    elif given.baseline:
        run_baseline(given.baseline)
    elif given.sync:
        run_sync()
    else:
        compare(0.1 if given.quick else 1.0)


def compare(share):
    with tempfile.TemporaryDirectory(prefix="bench-sync-") as temporary:
        folder = Path(temporary)
        base = measure_baseline(folder / "baseline", BASELINE_S * max(share, 0.5))
        fast, fast_size, fast_mb = measure_sync(folder / "rtt", int(5000 * share), 0)
        slow, slow_size, slow_mb = measure_sync(
            folder / "pipe", 2000 + int(4000 * share), RATE_BPS
        )
    ratio = fast["readings_per_s"] / base
    wire = slow_size * 8 / slow["duration_s"] / RATE_BPS
    peak_mb = max(fast_mb, slow_mb)
    print(f"one POST per reading, 40 ms       {base:12,.1f} readings/s")
    print(
        f"mcp sync, 40 ms                   {fast['readings_per_s']:12,.0f} readings/s  "
        f"{ratio:,.0f} x  ({fast['readings']:,} readings, {fast_size / 1e6:.1f} MB)"
    )
    print(
        f"mcp sync, 40 ms and 10 Mbit/s     {slow['readings_per_s']:12,.0f} readings/s  "
        f"{100 * wire:.1f} % of the wire  ({slow_size / 1e6:.1f} MB in {slow['duration_s']:.1f} s)"
    )
    print(f"peak memory of mcp sync           {peak_mb:12,.0f} MB")
    verdicts = {
        "at least 1,000 x one POST per reading": ratio >= 1000,
        "at least 90 % of the wire": wire >= 0.9,
        f"below {MEMORY_LIMIT_MB} MB": peak_mb < MEMORY_LIMIT_MB,
    }
    for what, kept in verdicts.items():
        print(f"{'PASS' if kept else 'FAIL'}  {what}")
    print(
        json.dumps(
            {
                "baseline_per_s": round(base, 1),
                "sync_per_s": fast["readings_per_s"],
                "ratio": round(ratio, 1),
                "wire_share": round(wire, 4),
                "peak_mb": round(peak_mb, 1),
            }
        )
    )
    sys.exit(0 if all(verdicts.values()) else 1)


if __name__ == "__main__":
    main()
