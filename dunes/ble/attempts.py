"""Connecting needs several attempts: how many, how long, with which pause.

A node stops connectable advertising for an instant whenever it sends a beacon of its own. Who
connects just then is hung up on at once (reason 0x3E or 0x1F) or never gets an answer; that
happens to about one in 200, and often twice in a row. So each set-up has a limit, and a failed
one is followed by a pause and another try.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from dunes.ble.errors import NotHeard, RadioLost, ServiceMissing
from dunes.errors import DunesError

SETUP_S = 6.0
"""For what comes after the link is up: ATT_MTU, discovery, subscription."""
PAUSE_S = 1.0
"""Before the next try: a node needs that long to advertise again."""
TRIES = 5
"""Set-ups that may fail; 200 nodes were taken in without one that needed more than three."""
MARGIN_S = 0.1
"""An attempt gets so much less than there is, so that its own reason is heard."""
MISSING_TRIES = 2
"""A node that changes its table of services may be met in between: look twice."""

T = TypeVar("T")


async def keep_trying(attempt: Callable[[float], Awaitable[T]], who: str, timeout_s: float) -> T:
    """Call `attempt` until it succeeds, time is up, or it failed too often.

    Args:
        attempt: is given the seconds that are left. It raises `NotHeard` where the node did not
            advertise (does not count as a try), `RadioLost` where it hung up or went silent,
            `ServiceMissing` where it lacks the service.
        who: the node, for the message.
        timeout_s: for all together.

    Raises:
        RadioLost: with the last reason and the number of tries.
        ServiceMissing: seen twice.
    """
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + timeout_s
    failure: DunesError | None = None
    tries = missing = 0
    while tries < TRIES and (left_s := deadline_s - loop.time()) > 0:
        try:
            async with asyncio.timeout(left_s):
                return await attempt(max(0.0, left_s - MARGIN_S))
        except TimeoutError:
            failure = failure or NotHeard("did not answer in time")
            break
        except NotHeard as e:
            failure = failure or e
            continue
        except ServiceMissing as e:
            missing += 1
            if missing >= MISSING_TRIES:
                raise
            failure = e
        except RadioLost as e:
            failure = e
        tries += 1
        if deadline_s - loop.time() <= PAUSE_S:
            break
        await asyncio.sleep(PAUSE_S)
    if isinstance(failure, ServiceMissing):
        raise failure
    reason = failure.message if failure else "no time was left"
    often = f"; tried {tries} times" if tries > 1 else ""
    reason = reason if who in reason else f"node {who} {reason}"
    raise RadioLost(
        f"{reason} (within {timeout_s:.3g} s{often})",
        hint="is it powered, and in reach of this adapter?",
    ) from failure
