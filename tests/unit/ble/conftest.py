"""What the tests of the radios share."""

import asyncio

import pytest

LIMIT_S = 25


@pytest.fixture
def run():
    """Run a coroutine, and fail where it hangs."""

    def runner(work):
        async def limited():
            async with asyncio.timeout(LIMIT_S):
                return await work

        return asyncio.run(limited())

    return runner
