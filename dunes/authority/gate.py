"""The one call by which other rooms ask: `authorise`.

It decides by this place's policies and trust ledger, writes the answer down, and raises
`NotAuthorised` (exit 77) for a no. Programs that run on keep a `Gate`, which reads files
again when they change.
"""

import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from dunes.authority.audit import AuditTrail
from dunes.authority.decide import decide
from dunes.authority.model import NOTHING, Decision, Request, Resource, Standing, Subject
from dunes.authority.policy import Policies
from dunes.authority.standing import Ledger
from dunes.authority.store import PolicyFile
from dunes.clock import SYSTEM_CLOCK, Clock
from dunes.errors import Denied, StorageError
from dunes.mu.errors import LogDamaged, NotTheSame, Signer
from dunes.paths import Paths


class NotAuthorised(Denied):
    """Policies, or somebody's standing, forbid it."""

    code = "not-authorised"

    def __init__(self, decision: Decision) -> None:
        request = decision.request
        what = "" if request is None else f"{request.subject.name} may not {request.action}"
        on = "" if request is None or not str(request.resource) else f" on {request.resource}"
        rule = decision.by.removeprefix("rule:") if decision.by.startswith("rule:") else ""
        hint = f"sakina restrict --lift {rule}" if rule else "sakina scope-list"
        if decision.by == "quarantine":
            hint = "sakina status; sakina quarantine NAME --lift"
        super().__init__(f"{what}{on}: {decision.reason}", hint=hint)
        self.decision = decision


class LedgerStandings(Mapping[str, Standing]):
    """The ledger's standings as of a moment, added up when they are asked for."""

    def __init__(self, ledger: Ledger, now_us: int) -> None:
        self._ledger, self._now_us = ledger, now_us

    def __getitem__(self, subject: str) -> Standing:
        """Give one subject's standing."""
        return self._ledger.tallies[subject].standing(self._now_us)

    def __iter__(self) -> Iterator[str]:
        """Go through the subjects."""
        return iter(self._ledger.tallies)

    def __len__(self) -> int:
        """Count them."""
        return len(self._ledger.tallies)


def local_subject(paths: Paths, uid: int | None = None) -> Subject:
    """Say who runs this process: the installation's owner (or root), or another user.

    Args:
        paths: of the installation; its state, data and keys tell the owner.
        uid: the effective user; default: this process's.
    """
    user = os.geteuid() if uid is None else uid
    owner = next(
        (
            found
            for found in map(_owner, (paths.state, paths.data, paths.keys, paths.config))
            if found is not None
        ),
        user,
    )
    return Subject("local" if user in {0, owner} else "other", _user_name(user))


def _owner(path: Path) -> int | None:
    try:
        return path.stat().st_uid
    except OSError:
        return None


def _user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid-{uid}"


@dataclass(slots=True)
class Gate:
    """Policies, standings and the record of one installation; safe to use from threads.

    Args:
        paths: of the installation.
        clock: for expiry, fading and the record.
        signer: a key that is open anyway, to sign the record now and then.
        audit: a folder for the record; default: this place's own.

    Attributes:
        trouble: why the trust ledger is only what was known last; empty if it is sound.
    """

    paths: Paths
    clock: Clock = SYSTEM_CLOCK
    signer: Signer | None = None
    audit: Path | None = None
    _policies: PolicyFile = field(init=False)
    _trail: AuditTrail = field(init=False)
    _ledger: Ledger | None = None
    _ledger_seen: tuple[int, int] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    trouble: str = ""

    def __post_init__(self) -> None:
        """Point at the files; nothing is read yet."""
        self._policies = PolicyFile(self.paths)
        own = AuditTrail.at(self.paths).folder
        self._trail = AuditTrail(self.audit or own, self.clock, self.signer)

    def decide(self, request: Request) -> Decision:
        """Answer a question and write the answer down.

        Raises:
            ConfigError: the policies cannot be read.
        """
        with self._lock:
            now_us = self.clock.unix_us()
            standings = LedgerStandings(self.ledger(), now_us)
            decision = decide(request, self._policies.current(), standings, now_us)
            if self.trouble:
                decision = replace(decision, reasons=(*decision.reasons, self.trouble))
            self._trail.note(decision)
            return decision

    def require(self, request: Request) -> Decision:
        """Answer a question; a no is an error.

        Raises:
            NotAuthorised: the answer is no.
        """
        decision = self.decide(request)
        if not decision.allow:
            raise NotAuthorised(decision)
        return decision

    def policies(self) -> Policies:
        """Give the policies, read again if their file changed."""
        return self._policies.current()

    def ledger(self) -> Ledger:
        """Give the trust ledger, read again if the log grew."""
        from dunes.mu.log import ENTRIES, log_directory

        try:
            found = (log_directory(self.paths.state) / ENTRIES).stat()
            seen = (found.st_size, found.st_ino)
        except OSError:
            seen = (0, 0)
        if self._ledger is None or seen != self._ledger_seen:
            if seen == (0, 0):
                self._ledger = Ledger()
            else:
                self._ledger = self._load()
            self._ledger_seen = seen
        return self._ledger

    def _load(self) -> Ledger:
        from dunes.authority.ledger import last_known, load_ledger

        try:
            found = load_ledger(self.paths)
        except (LogDamaged, NotTheSame, StorageError) as e:
            self.trouble = f"the trust ledger is as it was known last: {e.message}"
            return last_known(self.paths)
        self.trouble = ""
        return found

    def flush(self) -> None:
        """Write what was grouped."""
        with self._lock:
            self._trail.flush()


def authorise(
    paths: Paths,
    action: str,
    resource: Resource = NOTHING,
    *,
    subject: Subject | None = None,
    signer: Signer | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Decision:
    """Ask once, from a command: decide, write it down, raise for a no.

    Args:
        paths: of the installation.
        action: see `Action`.
        resource: what it is about.
        subject: who asks; default: whoever runs this process.
        signer: a key that is open anyway, to sign the record now and then.
        clock: for a test.

    Raises:
        NotAuthorised: the answer is no (exit 77).
        ConfigError: the policies cannot be read.
    """
    gate = Gate(paths, clock, signer)
    try:
        who = local_subject(paths) if subject is None else subject
        return gate.require(Request(who, action, resource))
    finally:
        gate.flush()
