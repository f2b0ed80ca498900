"""A key refresh of the primary subnet, driven to its end over a runner."""

import asyncio
from random import SystemRandom

from dunes.gateway.runner import Runner
from dunes.mesh.keys import PRIMARY, Phase
from dunes.mesh.manager import ManagerEvent
from dunes.mesh.refresh import KeyRefresh, NodeHolds, Round, RoundDone

KEY_BYTES = 16
HOLDS_MAX = 2
"""A node that did not follow so often is silent."""
ROUNDS = 3


async def run_refresh(runner: Runner, *, skip: bool) -> tuple[int, list[int]]:
    """Give new keys to every node.

    An earlier refresh that was left in the middle is gone on with: its keys are stored.

    Args:
        runner: with a proxy.
        skip: go on without nodes that stay silent.

    Returns:
        Rounds done, of 3, and the nodes that held the last one up.
    """
    refresh = KeyRefresh(runner.manager, PRIMARY)
    news = asyncio.Event()

    def hear(event: ManagerEvent) -> None:
        if refresh.receive(event):
            news.set()

    runner.on_event.append(hear)
    try:
        _begin(refresh, runner)
        runner.wake()
        return await _follow(refresh, runner, news, skip=skip)
    finally:
        runner.on_event.remove(hear)


def _begin(refresh: KeyRefresh, runner: Runner) -> None:
    keys = runner.manager.stack.keys
    subnet = keys.subnets[PRIMARY]
    if subnet.phase is Phase.SWITCHING:
        refresh.resume()
        return
    rng = SystemRandom()
    net = subnet.new.key if subnet.new is not None else rng.randbytes(KEY_BYTES)
    apps = {
        index: app.new.key if app.new is not None else rng.randbytes(KEY_BYTES)
        for index, app in keys.apps.items()
        if app.net_index == PRIMARY
    }
    refresh.begin(net, apps)


async def _follow(
    refresh: KeyRefresh, runner: Runner, news: asyncio.Event, *, skip: bool
) -> tuple[int, list[int]]:
    held: dict[int, int] = {}
    stuck: set[int] = set()
    rounds = refresh.round - Round.DISTRIBUTE
    while True:
        while (said := refresh.next_event()) is not None:
            if isinstance(said, RoundDone):
                rounds = int(said.round)
                held.clear()
                runner.note(f"key refresh: round {rounds} of {ROUNDS} is done")
                continue
            _held(refresh, said, held, stuck, skip=skip)
            runner.note(f"key refresh: {said.unicast:#06x} {said.reason}")
        if refresh.round is Round.DONE:
            await runner.flush()
            return ROUNDS, []
        if stuck and not refresh.asking:
            await runner.flush()
            return rounds, sorted(stuck)
        runner.wake()
        await news.wait()
        news.clear()


def _held(
    refresh: KeyRefresh, said: NodeHolds, held: dict[int, int], stuck: set[int], *, skip: bool
) -> None:
    held[said.unicast] = held.get(said.unicast, 0) + 1
    if held[said.unicast] < HOLDS_MAX:
        refresh.again(said.unicast)
    elif skip:
        refresh.skip(said.unicast)
    else:
        stuck.add(said.unicast)
