"""The IV index: updates, recovery, and how long each state lasts.

    state         beacon (IV, update flag)       becomes
    normal n      n+1, set                       updating n+1, after 96 h
    normal n      n+1, clear; n+2 … n+42         recovery: what the beacon says
    updating n    n, clear                       normal n, after 96 h and with no segments out
    updating n    n+1 … n+42                     recovery: what the beacon says
    updating n    (144 h pass)                   normal n, with no segments out
    any           less than n, more than n+42    ignored
    unknown       anything                       what the beacon says

Unknown (`UNKNOWN`) is where a Configuration Database was imported, which has no IV index: as
after provisioning, what the network says counts, and nothing is sent before.

One sends with n while normal, with n-1 while updating; n and n-1 are accepted always.
When the index to send with rises, SEQ begins at 0 again. After a recovery, and after
provisioning, nobody knows how long the state has lasted: its 96 h count as over.

Source: Mesh Protocol 1.1, 3.11.5, 3.11.6.
"""

from dataclasses import dataclass

from dunes.mesh.beacon import IV_MAX, NetworkState

HOUR_S = 3600.0
STATE_MIN_S = 96 * HOUR_S
STATE_MAX_S = 144 * HOUR_S
"""An update in progress ends by itself at the latest now."""
RECOVERY_MIN_S = 192 * HOUR_S
"""Between two recoveries."""
JUMP_MAX = 42
UNKNOWN = -1
"""The index of a network that nobody has told us yet."""


@dataclass(frozen=True, slots=True)
class IvRecord:
    """The IV index as it is stored; times as ages, since clocks restart.

    Attributes:
        index: the network's current IV index.
        updating: an update is in progress: send with `index - 1`.
        age_s: how long the state had lasted when this was written.
        recovered_age_s: how long ago the last recovery was; None if there was none.
    """

    index: int = 0
    updating: bool = False
    age_s: float = STATE_MIN_S
    recovered_age_s: float | None = None

    @property
    def transmit(self) -> int:
        """Give the index to send with."""
        return self.index - self.updating


@dataclass(slots=True)
class IvIndex:
    """The state machine.

    Attributes:
        index: the current IV index.
        updating: whether an update is in progress.
        since_s: since when, on the clock of `now_s`; may be before its zero.
        recovered_at_s: when the last recovery was.
    """

    index: int = 0
    updating: bool = False
    since_s: float = -STATE_MIN_S
    recovered_at_s: float | None = None
    _ending: bool = False

    @classmethod
    def restore(cls, record: IvRecord, now_s: float, slept_s: float = 0.0) -> "IvIndex":
        """Go on from a stored record, `slept_s` seconds after it was written."""
        recovered = record.recovered_age_s
        return cls(
            record.index,
            record.updating,
            now_s - record.age_s - slept_s,
            None if recovered is None else now_s - recovered - slept_s,
        )

    def record(self, now_s: float) -> IvRecord:
        """Give what is stored."""
        recovered = None if self.recovered_at_s is None else now_s - self.recovered_at_s
        return IvRecord(self.index, self.updating, now_s - self.since_s, recovered)

    @property
    def transmit(self) -> int:
        """Give the index to send with."""
        return self.index - self.updating

    def receive(self, seen: NetworkState, now_s: float, *, busy: bool) -> bool:
        """Take an authentic beacon of the primary subnet, or of the only one we are in.

        Args:
            seen: what it says.
            now_s: seconds.
            busy: segments are on their way: the end of an update waits for them.

        Returns:
            Whether the index or the state changed.
        """
        if self.index == UNKNOWN:
            self.index, self.updating = seen.iv_index, seen.update
            self.since_s = now_s - STATE_MIN_S
            return True
        ahead = seen.iv_index - self.index
        if not 0 <= ahead <= JUMP_MAX:
            return False
        if ahead == 0:
            return self.updating and not seen.update and self.end_update(now_s, busy=busy)
        if ahead == 1 and seen.update and not self.updating:
            return self.begin_update(now_s)
        return self._recover(seen, now_s)

    def begin_update(self, now_s: float) -> bool:
        """Enter "update in progress", of ourselves or because a beacon says so."""
        settled = now_s - self.since_s >= STATE_MIN_S
        if self.updating or not settled or not UNKNOWN < self.index < IV_MAX:
            return False
        self.index, self.updating, self.since_s = self.index + 1, True, now_s
        return True

    def end_update(self, now_s: float, *, busy: bool) -> bool:
        """Go back to normal once 96 h are over and no segment is out."""
        if not self.updating or now_s - self.since_s < STATE_MIN_S:
            return False
        self._ending = busy
        if busy:
            return False
        self.updating, self.since_s = False, now_s
        return True

    def handle_timer(self, now_s: float, *, busy: bool) -> bool:
        """End an update that waited for segments, or that lasts too long."""
        due = self._ending or now_s - self.since_s >= STATE_MAX_S
        return self.updating and due and self.end_update(now_s, busy=busy)

    def next_timer_s(self) -> float | None:
        """Say when an update in progress ends by itself; None while segments hold it up."""
        return self.since_s + STATE_MAX_S if self.updating and not self._ending else None

    @property
    def ending(self) -> bool:
        """Say whether the end of an update waits for segments."""
        return self._ending

    def _recover(self, seen: NetworkState, now_s: float) -> bool:
        if self.recovered_at_s is not None and now_s - self.recovered_at_s < RECOVERY_MIN_S:
            return False
        self.index, self.updating = seen.iv_index, seen.update
        self.recovered_at_s, self._ending = now_s, False
        self.since_s = now_s - STATE_MIN_S
        return True
