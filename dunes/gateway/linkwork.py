"""Work that rests on a proxy's link: it ends with the link, or with the proxy's last word."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from dunes.ble.errors import RadioLost
from dunes.gateway.runner import Runner

T = TypeVar("T")


async def over(runner: Runner, number: int, work: Coroutine[Any, Any, T]) -> T:
    """Do what rests on a proxy's link.

    Raises:
        RadioLost: the link is gone: nothing would be answered.
    """
    doing, gone = asyncio.create_task(work), asyncio.create_task(runner.lost(number))
    try:
        await asyncio.wait({doing, gone}, return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            return await doing
        raise RadioLost("the link was lost in the middle")
    finally:
        doing.cancel()
        gone.cancel()
        await asyncio.gather(doing, gone, return_exceptions=True)


async def watch(runner: Runner, number: int, *, quiet_s: float, answer_s: float) -> None:
    """Use a proxy's link until it is gone, or the proxy says nothing any more.

    Args:
        runner: whose link it is.
        number: the link.
        quiet_s: a proxy that was silent for so long is asked for a sign of life.
        answer_s: how long it has for that.

    Raises:
        RadioLost: it gave none.
    """
    before, asked, waits_s = runner.values_of(number), False, quiet_s
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(waits_s):
                return await runner.lost(number)
        now = runner.values_of(number)
        if now != before:
            before, asked, waits_s = now, False, quiet_s
        elif asked:
            raise RadioLost("the proxy says nothing any more")
        else:
            runner.probe(number)
            asked, waits_s = True, answer_s
