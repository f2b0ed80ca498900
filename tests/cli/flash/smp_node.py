"""A virtual board as a program: SMP over UDP and over a pseudo-terminal.

    python smp_node.py --board NAME --key KEY.pem --factory IMAGE [--die-after N] [--crash]

prints where it listens as one line of JSON, and serves until its stdin ends. `--die-after N`:
after so many pieces of an upload it is deaf for a second, and says `deaf`. `--lose N`: each
Nth frame to it is lost. `--crash`: whatever is flashed dies at its start.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from dunes.sim.mcuboot import Board
from dunes.sim.smp_host import Restarting, serve_pty, serve_udp
from dunes.sim.smp_server import HEADER, SmpServer


async def serve(given):
    key = load_pem_private_key(given.key.read_bytes(), None).public_key()
    factory = given.factory.read_bytes()
    board = Board(given.board, key, factory)
    if given.crash:
        board.crashes = lambda image: image.data != factory
    loop = asyncio.get_running_loop()
    frames, pieces, deaf_until_s = 0, 0, 0.0

    def gate(frame):
        nonlocal frames, pieces, deaf_until_s
        frames += 1
        if given.lose and frames % given.lose == 0:
            return False
        pieces += HEADER.unpack_from(frame)[3:6:2] == (1, 1)
        if given.die_after and pieces == given.die_after:
            given.die_after, deaf_until_s = 0, loop.time() + given.deaf_s
            print("deaf", flush=True)
        return loop.time() >= deaf_until_s

    node = Restarting(SmpServer(board, given.name), gate=gate, start_s=0.1)
    async with serve_udp(node) as port:
        with serve_pty(node) as path:
            print(json.dumps({"udp": port, "pty": path}), flush=True)
            ended = loop.create_future()
            loop.add_reader(sys.stdin, lambda: ended.done() or ended.set_result(None))
            await ended


parser = argparse.ArgumentParser()
parser.add_argument("--name", default="node")
parser.add_argument("--board", required=True)
parser.add_argument("--key", type=Path, required=True)
parser.add_argument("--factory", type=Path, required=True)
parser.add_argument("--die-after", type=int, default=0)
parser.add_argument("--deaf-s", type=float, default=1.0)
parser.add_argument("--lose", type=int, default=0)
parser.add_argument("--crash", action="store_true")
asyncio.run(serve(parser.parse_args()))
