"""What flashing takes, over the air of the simulated site, and what reading an image costs.

    python benchmarks/bench_firmware.py [--nodes 1 10 50] [--rounds 5]

Flashing: `dunes flash-node` as people type it, with the site in processes of its own on the same
cores; baseline: the same with `--parallel 1`, one node after the other. Each node takes 60 kB,
then 2 s to restart, in which its link is another's.

Images: reading and checking one of 400 kB; baseline: imgtool's own reader on the same file.

Targets: 8 nodes at once at least twice as fast as one after the other; an image read no slower
than by imgtool.
"""

import argparse
import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from imgtool.image import Image as ImgtoolImage

from dunes.firmware.image import parse_image
from dunes.firmware.version import Version
from dunes.sim.signedimage import make_image

BODY_BYTES = 400_000
TIMES_FASTER = 2.0


def type_(home, *argv):
    environment = os.environ | {"DUNES_HOME": str(home)}
    program = Path(sys.executable).with_name("dunes")
    begin_s = time.perf_counter()
    done = subprocess.run(
        [str(program), *argv, "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return time.perf_counter() - begin_s, json.loads(done.stdout)


def flash(nodes, parallel):
    """Flash all nodes of a fresh site; gives seconds, and bytes that went out."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "dunes"
        type_(home, "sim", "up", "--site", "mars", "--nodes", str(nodes))
        try:
            argv = ("flash-node", "--firmware", "ble-mesh-v1.2", "--parallel", str(parallel))
            seconds, report = type_(home, *argv)
        finally:
            type_(home, "sim", "down")
        assert (nodes, 0) == (report["updated"], report["failed"])
        return seconds, sum(row["sent_bytes"] for row in report["nodes"])


def reading(rounds):
    """Median milliseconds of reading an image: ours, and imgtool's."""
    data = make_image(bytes(BODY_BYTES), Version(1, 2), "bench", Ed25519PrivateKey.generate())
    with tempfile.NamedTemporaryFile(suffix=".bin") as file:
        file.write(data)
        file.flush()
        ours, theirs = [], []
        for _ in range(rounds + 1):
            begin_s = time.perf_counter()
            parse_image(data)
            ours.append(time.perf_counter() - begin_s)
            begin_s = time.perf_counter()
            with contextlib.redirect_stdout(io.StringIO()):
                assert ImgtoolImage.verify(file.name, None)[0].name == "OK"
            theirs.append(time.perf_counter() - begin_s)
    return 1000 * statistics.median(ours[1:]), 1000 * statistics.median(theirs[1:])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    results, met = {}, {}
    for nodes in given.nodes:
        seconds, size = flash(nodes, 8)
        one_s, _ = flash(nodes, 1) if nodes > 1 else (seconds, 0)
        results[f"flash {nodes}"] = round(seconds, 2)
        results[f"flash {nodes}, one by one"] = round(one_s, 2)
        print(
            f"{nodes:4} nodes: {seconds:7.1f} s ({seconds / nodes:5.2f} s a node, "
            f"{size / 1e6:5.2f} MB); one after the other {one_s:7.1f} s"
        )
        if nodes >= 10:  # below that, listening is most of it
            met[f"{nodes} nodes twice as fast at once"] = seconds * TIMES_FASTER <= one_s
    ours_ms, theirs_ms = reading(given.rounds)
    results |= {"image_ms": round(ours_ms, 3), "image_imgtool_ms": round(theirs_ms, 3)}
    print(f"image of {BODY_BYTES} bytes: {ours_ms:.2f} ms; imgtool {theirs_ms:.2f} ms")
    met["image read no slower than by imgtool"] = ours_ms <= theirs_ms
    for what, good in met.items():
        print(f"{what}: {'met' if good else 'MISSED'}")
    print(json.dumps(results | met))


if __name__ == "__main__":
    main()
