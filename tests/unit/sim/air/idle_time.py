"""An event loop whose clock stands still while there is work, and jumps while there is none.

Radio, nodes and a host of the tests are in one process, and all wait by the loop's clock. So what
is measured by it is what was meant to take that long, whatever the machine does beside; and no
test waits.
"""

import asyncio
import selectors

IN_FLIGHT_S = 0.001
"""Real time for octets to come out of a socket again; only then is there no work."""


class _Selector(selectors.DefaultSelector):
    """Gives what is ready; where nothing is, lets the time pass that it was to wait."""

    passed_s = 0.0

    def select(self, timeout=None):
        ready = super().select(timeout and min(timeout, IN_FLIGHT_S))
        if timeout and not ready:
            self.passed_s += timeout
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self):
        self._passing = _Selector()
        super().__init__(self._passing)

    def time(self):
        return self._passing.passed_s


def run(scene):
    """Run a coroutine, as `asyncio.run` does, but through idle time at once."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(scene)
