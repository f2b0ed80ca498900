"""Tidying up that a cancellation must not cut short."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def undisturbed(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` to its end, even if we are cancelled meanwhile; then be cancelled.

    A connection that is half given up would stay with the controller. `work` has limits of its
    own, so that a cancellation is late by no more than a few seconds.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as e:
            cancelled = e
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # collected: being cancelled is what counts
        raise cancelled
    task.result()
