"""What the tests of the radios share."""

import asyncio

import pytest

LIMIT_S = 25


@pytest.fixture
def run():
    """Run a coroutine, and fail where it hangs."""

    def runner(work, limit_s=LIMIT_S):
        async def limited():
            async with asyncio.timeout(limit_s):
                return await work

        return asyncio.run(limited())

    return runner
