"""All keys that one device holds, and which of them may explain a PDU."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from dunes.mesh.keys import (
    APP_KEYS_MAX,
    PHASE_CHANGES,
    PRIMARY,
    SUBNETS_MAX,
    AppKey,
    AppKeyRecord,
    Candidate,
    Credentials,
    NetKey,
    NetKeyRecord,
    Phase,
    Subnet,
    UpperKey,
    app_key,
)
from dunes.mesh.status import Status


@dataclass(slots=True)
class KeyRing:
    """Subnets and AppKeys by index; NID and AID lookups.

    Changes answer with a `Status`, as a configuration server must; the rules are those of
    4.4.1.2.9 and 4.4.1.2.10.
    """

    subnets: dict[int, Subnet] = field(default_factory=dict)
    apps: dict[int, AppKey] = field(default_factory=dict)
    _by_nid: dict[int, tuple[Candidate, ...]] = field(default_factory=dict)
    _friendships: list[Candidate] = field(default_factory=list)

    @classmethod
    def restore(cls, nets: Iterable[NetKeyRecord], apps: Iterable[AppKeyRecord]) -> "KeyRing":
        """Go on from stored records."""
        ring = cls()
        for net in nets:
            new = None if net.new_key is None else NetKey(net.new_key)
            ring.subnets[net.index] = Subnet(net.index, NetKey(net.key), new, net.phase)
        for app in apps:
            later = None if app.new_key is None else app_key(app.new_key)
            ring.apps[app.index] = AppKey(app.index, app.net_index, app_key(app.key), later)
        ring.index()
        return ring

    @property
    def net_records(self) -> tuple[NetKeyRecord, ...]:
        """Give what is stored of the subnets."""
        return tuple(subnet.record for subnet in self.subnets.values())

    @property
    def app_records(self) -> tuple[AppKeyRecord, ...]:
        """Give what is stored of the AppKeys."""
        return tuple(app.record for app in self.apps.values())

    def index(self) -> None:
        """Build the NID lookup anew, after every change of a NetKey."""
        found: dict[int, list[Candidate]] = {}
        for subnet in self.subnets.values():
            for key in subnet.accepted():
                candidate = Candidate(key.flooding, subnet.index)
                found.setdefault(key.flooding.nid, []).append(candidate)
        for candidate in self._friendships:
            found.setdefault(candidate.credentials.nid, []).append(candidate)
        self._by_nid = {nid: tuple(each) for nid, each in found.items()}

    def add_friendship(self, credentials: Credentials, net_index: int) -> None:
        """Accept PDUs under a friendship's credentials too."""
        self._friendships.append(Candidate(credentials, net_index, friend=True))
        self.index()

    def candidates(self, nid: int) -> tuple[Candidate, ...]:
        """Give the credentials that have a NID."""
        return self._by_nid.get(nid, ())

    def app_candidates(self, aid: int, net_index: int) -> list[tuple[int, AppKey]]:
        """Give (index, key) of AppKeys bound to a subnet with an AID, old or new."""
        return [
            (app.index, app)
            for app in self.apps.values()
            if app.net_index == net_index and any(key.aid == aid for key in app.accepted())
        ]

    def network_ids(self) -> dict[bytes, tuple[Subnet, NetKey]]:
        """Give the subnets by the Network IDs of their old and new keys."""
        return {
            key.network_id: (subnet, key)
            for subnet in self.subnets.values()
            for key in subnet.accepted()
        }

    # ---------------------------------------------------------------- NetKeys

    def add_net(self, index: int, key: bytes) -> Status:
        """Add a NetKey; the same one again is a success."""
        known = self.subnets.get(index)
        if known is not None:
            same = known.current.key == key
            return Status.SUCCESS if same else Status.KEY_INDEX_ALREADY_STORED
        if len(self.subnets) >= SUBNETS_MAX:
            return Status.INSUFFICIENT_RESOURCES
        self.subnets[index] = Subnet(index, NetKey(key))
        self.index()
        return Status.SUCCESS

    def update_net(self, index: int, key: bytes) -> Status:
        """Begin a key refresh: phase 1."""
        subnet = self.subnets.get(index)
        if subnet is None:
            return Status.INVALID_NET_KEY_INDEX
        if subnet.phase is Phase.NORMAL:
            subnet.new, subnet.phase = NetKey(key), Phase.DISTRIBUTION
            self.index()
            return Status.SUCCESS
        same = subnet.new is not None and subnet.new.key == key
        if subnet.phase is Phase.DISTRIBUTION and same:
            return Status.SUCCESS
        return Status.CANNOT_UPDATE

    def delete_net(self, index: int) -> Status:
        """Remove a NetKey and its AppKeys; one that is not there is a success."""
        if index in self.subnets and len(self.subnets) == 1:
            return Status.CANNOT_REMOVE
        self.subnets.pop(index, None)
        for app in [app for app in self.apps.values() if app.net_index == index]:
            del self.apps[app.index]
        self._friendships = [each for each in self._friendships if each.net_index != index]
        self.index()
        return Status.SUCCESS

    def change_phase(self, index: int, transition: Phase) -> bool:
        """Move a key refresh on; False where that is prohibited."""
        subnet = self.subnets[index]
        phase = PHASE_CHANGES.get((subnet.phase, transition))
        if phase is None:
            return False
        if phase is Phase.NORMAL and subnet.phase is not Phase.NORMAL:
            self._revoke(subnet)
        subnet.phase = phase
        self.index()
        return True

    def _revoke(self, subnet: Subnet) -> None:
        if subnet.new is not None:
            subnet.current, subnet.new = subnet.new, None
        for app in self.apps.values():
            if app.net_index == subnet.index and app.new is not None:
                app.current, app.new = app.new, None

    # ---------------------------------------------------------------- AppKeys

    def add_app(self, net_index: int, index: int, key: bytes) -> Status:
        """Add an AppKey bound to a NetKey; the same one again is a success."""
        if net_index not in self.subnets:
            return Status.INVALID_NET_KEY_INDEX
        known = self.apps.get(index)
        if known is not None:
            if known.net_index != net_index:
                return Status.INVALID_NET_KEY_INDEX
            same = known.current.key == key
            return Status.SUCCESS if same else Status.KEY_INDEX_ALREADY_STORED
        if len(self.apps) >= APP_KEYS_MAX:
            return Status.INSUFFICIENT_RESOURCES
        self.apps[index] = AppKey(index, net_index, app_key(key))
        return Status.SUCCESS

    def update_app(self, net_index: int, index: int, key: bytes) -> Status:
        """Give an AppKey its next value, in phase 1 of its subnet's refresh only."""
        subnet, app = self.subnets.get(net_index), self.apps.get(index)
        if subnet is None:
            return Status.INVALID_NET_KEY_INDEX
        if app is None:
            return Status.INVALID_APP_KEY_INDEX
        if app.net_index != net_index:
            return Status.INVALID_BINDING
        if subnet.phase is not Phase.DISTRIBUTION:
            return Status.CANNOT_UPDATE
        if app.new is not None and app.new.key != key:
            return Status.CANNOT_UPDATE
        app.new = app_key(key)
        return Status.SUCCESS

    def delete_app(self, net_index: int, index: int) -> Status:
        """Remove an AppKey; one that is not there is a success."""
        if net_index not in self.subnets:
            return Status.INVALID_NET_KEY_INDEX
        app = self.apps.get(index)
        if app is not None and app.net_index != net_index:
            return Status.INVALID_NET_KEY_INDEX
        self.apps.pop(index, None)
        return Status.SUCCESS

    def beacon_phase(self, subnet: Subnet, key: NetKey, refresh: bool) -> bool:
        """Follow the key refresh flag of an authentic beacon (3.11.4.2, 3.11.4.3).

        Args:
            subnet: whose beacon it is.
            key: the key that authenticated it.
            refresh: its flag.

        Returns:
            Whether the phase changed. Only the new key's beacon moves a phase.
        """
        if subnet.new is None or key is not subnet.new:
            return False
        if subnet.phase is Phase.DISTRIBUTION and refresh:
            return self.change_phase(subnet.index, Phase.SWITCHING)
        return not refresh and self.change_phase(subnet.index, Phase.REVOKING)

    def transmit_app(self, app: AppKey) -> UpperKey:
        """Give the AppKey value to send with: the new one from phase 2 on."""
        subnet = self.subnets[app.net_index]
        if app.new is not None and subnet.phase is Phase.SWITCHING:
            return app.new
        return app.current

    @property
    def primary(self) -> Subnet | None:
        """Give the primary subnet, if the device is in it."""
        return self.subnets.get(PRIMARY)
