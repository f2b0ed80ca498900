"""What a runner's users wait for: answers, configurations, proxies; a future each."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dunes.ble.errors import RadioLost
from dunes.errors import Unavailable
from dunes.mesh.configurator import ConfigurationFailed, Configured, StepDone
from dunes.mesh.requests import Answered, Unanswered
from dunes.mesh.wire import Message


class NoAnswer(Unavailable):
    """A node did not answer."""

    code = "node-silent"


class NotConfigured(Unavailable):
    """A node is silent, or does not become what its plan says."""

    code = "not-configured"


@dataclass(slots=True)
class Waiting:
    """All futures.

    Attributes:
        answers: by request.
        configured: by the node's primary address.
        steps: told each step of a node.
        ready: by link to a proxy.
        lost: by link, set when it is gone.
    """

    answers: dict[int, asyncio.Future[Message]] = field(default_factory=dict)
    configured: dict[int, asyncio.Future[Configured]] = field(default_factory=dict)
    steps: dict[int, Callable[[StepDone], None]] = field(default_factory=dict)
    ready: dict[int, asyncio.Future[None]] = field(default_factory=dict)
    lost: dict[int, asyncio.Event] = field(default_factory=dict)

    def answered(self, event: Answered | Unanswered) -> None:
        """Take the end of a request."""
        if isinstance(event, Answered):
            _settle(self.answers.get(event.id), event.answer)
        else:
            silent = f"{event.dst:#06x} did not answer, asked {event.tries} times"
            _settle(self.answers.get(event.id), NoAnswer(silent))

    def configuration(self, said: StepDone | Configured | ConfigurationFailed) -> None:
        """Take what a configuration says."""
        done = self.configured.get(said.unicast)
        match said:
            case StepDone():
                if said.unicast in self.steps:
                    self.steps[said.unicast](said)
            case Configured():
                _settle(done, said)
            case ConfigurationFailed():
                step = type(said.request).__name__
                _settle(done, NotConfigured(f"{step}: {said.reason}"))

    def proxy_ready(self, link: int) -> None:
        """Take that a proxy answered."""
        _settle(self.ready.get(link), None)

    def link_lost(self, link: int, reason: str) -> None:
        """Take that a link is gone."""
        _settle(self.ready.pop(link, None), RadioLost(f"the link was lost: {reason}"))
        if link in self.lost:
            self.lost.pop(link).set()

    def fail(self, error: BaseException) -> None:
        """End all of them."""
        waiting: list[asyncio.Future[Any]] = [
            *self.answers.values(),
            *self.configured.values(),
            *self.ready.values(),
        ]
        for future in waiting:
            _settle(future, error)
        for event in self.lost.values():
            event.set()


def _settle(future: asyncio.Future[Any] | None, result: Any) -> None:
    if future is None or future.done():
        return
    if isinstance(result, BaseException):
        future.set_exception(result)
    else:
        future.set_result(result)
