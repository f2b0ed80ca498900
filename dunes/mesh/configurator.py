"""Configure many nodes through a `Manager`, each step by step, each resumable.

    configurator = Configurator(manager)
    configurator.begin(unicast, plan)
    configurator.receive(event)        every event of the manager; True where it was ours
    configurator.next_event()          StepDone, Configured, ConfigurationFailed

How far a node is lies in `KnownNode.step`, stored with each step: a killed run goes on
there, and since steps may be repeated, one that was sent and not stored does no harm.
"""

from collections import deque
from dataclasses import dataclass, field, replace

from dunes.errors import PeerError
from dunes.mesh.manager import Manager, ManagerEvent
from dunes.mesh.managerstate import Progress
from dunes.mesh.models.config_node import CompositionGet, CompositionStatus
from dunes.mesh.procedure import Plan, judge, steps, take_composition
from dunes.mesh.requests import Answered, Unanswered
from dunes.mesh.status import Status
from dunes.mesh.wire import Message


@dataclass(frozen=True, slots=True)
class StepDone:
    """One more step of a node is done."""

    unicast: int
    done: int
    total: int
    request: Message


@dataclass(frozen=True, slots=True)
class Configured:
    """A node is what its plan says.

    Attributes:
        unicast: its primary address.
        unsupported: steps that it cannot do at all, such as relaying.
    """

    unicast: int
    unsupported: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class ConfigurationFailed:
    """A node is not.

    Attributes:
        unicast: its primary address.
        request: the step that failed.
        reason: the status in words, or that it is silent.
    """

    unicast: int
    request: Message
    reason: str


ConfigurationEvent = StepDone | Configured | ConfigurationFailed


@dataclass(slots=True)
class _Job:
    plan: Plan
    step: int
    request_id: int = 0
    unsupported: list[Message] = field(default_factory=list)


@dataclass(slots=True)
class Configurator:
    """All configurations under way; one request per node at a time."""

    manager: Manager
    _jobs: dict[int, _Job] = field(default_factory=dict)
    _events: deque[ConfigurationEvent] = field(default_factory=deque)

    def begin(self, unicast: int, plan: Plan, *, anew: bool = False) -> None:
        """Configure a node, from where it was left.

        Args:
            unicast: its primary address.
            plan: what it shall become.
            anew: from the first step on: another plan than the last one.
        """
        node = self.manager.node_of(unicast)
        self._jobs[unicast] = _Job(plan, 0 if anew else node.step)
        self._next(unicast)

    def receive(self, event: ManagerEvent) -> bool:
        """Take an event of the manager; say whether it belongs to a step."""
        if not isinstance(event, Answered | Unanswered):
            return False
        job = self._jobs.get(event.dst)
        if job is None or job.request_id != event.id:
            return False
        if isinstance(event, Unanswered):
            self._fail(event.dst, event.request, f"silent after {event.tries} tries")
        else:
            self._answered(event, job)
        return True

    def next_event(self) -> ConfigurationEvent | None:
        """Give the next event."""
        return self._events.popleft() if self._events else None

    def stop(self, unicast: int) -> None:
        """Leave a node as it is now."""
        self._jobs.pop(unicast, None)

    @property
    def busy(self) -> int:
        """Count the nodes under way."""
        return len(self._jobs)

    def _next(self, unicast: int) -> None:
        job, node = self._jobs[unicast], self.manager.node_of(unicast)
        plan = steps(job.plan, node)
        if job.step < len(plan):
            job.request_id = self.manager.request(unicast, plan[job.step])
            return
        del self._jobs[unicast]
        self.manager.update_node(replace(node, progress=Progress.CONFIGURED, step=job.step))
        self._events.append(Configured(unicast, tuple(job.unsupported)))

    def _answered(self, event: Answered, job: _Job) -> None:
        unicast, node = event.dst, self.manager.node_of(event.dst)
        status = judge(event.request, event.answer)
        if status is Status.FEATURE_NOT_SUPPORTED:
            job.unsupported.append(event.request)
        elif status is not Status.SUCCESS:
            self._fail(unicast, event.request, status.words)
            return
        composition = node.composition
        if isinstance(event.request, CompositionGet):
            try:
                if isinstance(event.answer, CompositionStatus):
                    composition = take_composition(node, event.answer)
            except PeerError as error:
                self._fail(unicast, event.request, error.message)
                return
        job.step += 1
        node = replace(node, step=job.step, composition=composition)
        self.manager.update_node(node)
        total = len(steps(job.plan, node))
        self._events.append(StepDone(unicast, job.step, total, event.request))
        self._next(unicast)

    def _fail(self, unicast: int, request: Message, reason: str) -> None:
        del self._jobs[unicast]
        self._events.append(ConfigurationFailed(unicast, request, reason))
