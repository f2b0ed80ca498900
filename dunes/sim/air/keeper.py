"""What nodes keep over a restart of the site: keys, addresses, SEQ, configuration, counts.

A file per node. What must not be forgotten is written before the node goes on; the rest
within `LAZY_S`. A killed process loses none of the former; a power cut of the computer may.

The numbers of reports are not written one by one: who was killed goes on `SKIPPED` further.
"""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from dunes.errors import StorageError
from dunes.mesh.models.habitat import SEQUENCE_MODULUS
from dunes.mesh.nodestate import NodeState
from dunes.mesh.sequence import SeqRecord
from dunes.mesh.state import Store

LAZY_S = 2.0
VERSION = 1
SKIPPED = 64
"""More reports than a node can send within `LAZY_S`: they are a fifth of a second apart."""


@dataclass(frozen=True, slots=True)
class Account:
    """What a node has sent since it was made.

    Attributes:
        publications: messages with readings.
        readings: values in them.
        alerts: readings that were alerts.
        sequence: the next number of the vendor model's reports; they count modulo 2^14.
        commands: actuator commands that were carried out.
    """

    publications: int = 0
    readings: int = 0
    alerts: int = 0
    sequence: int = 0
    commands: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """The file of one node.

    Attributes:
        version: of this format.
        state: None: unprovisioned.
        account: what it has sent.
        actuators: where they stand, by element and model.
        saved_us: Unix time.
        sending: numbers after the account's may have been used.
    """

    version: int = VERSION
    state: NodeState | None = None
    account: Account = field(default_factory=Account)
    actuators: dict[str, int] = field(default_factory=dict)
    saved_us: int = 0
    sending: bool = False


@dataclass(slots=True)
class Keeper:
    """The files of all nodes.

    Attributes:
        folder: where they are; made when it is needed.
        kept: by node.
    """

    folder: Path
    kept: dict[str, Kept] = field(default_factory=dict)
    _waiting: set[str] = field(default_factory=set)

    def load(self, name: str) -> Kept:
        """Read what a node kept; nothing, if it is new.

        Raises:
            StorageError: the file is there and cannot be read.
        """
        path = self._path(name)
        try:
            found = msgspec.json.decode(path.read_bytes(), type=Kept)
        except FileNotFoundError:
            found = Kept()
        except (msgspec.MsgspecError, OSError) as error:
            hint = f"remove {self.folder}; the nodes are new then"
            raise StorageError(f"{path}: {error}", hint=hint) from error
        if found.version != VERSION:
            hint = f"remove {self.folder}; the nodes are new then"
            raise StorageError(f"{path} has version {found.version}, not {VERSION}", hint=hint)
        if found.sending:
            sequence = (found.account.sequence + SKIPPED) % SEQUENCE_MODULUS
            account = replace(found.account, sequence=sequence)
            found = replace(found, account=account, sending=False)
        self.kept[name] = found
        return found

    def store(self, name: str, store: Store, now_us: int) -> None:
        """Take a `Store` of a node's core; it may go on when this returns."""
        state = NodeState.updated(self.kept[name].state, store)
        self.change(name, now_us, state=state)
        if store.before_sending or any(isinstance(each, SeqRecord) for each in store.changes):
            self.write(name)

    def sent(self, name: str, now_us: int, account: Account) -> None:
        """Take the account of what is about to be sent."""
        first = not self.kept[name].sending
        self.change(name, now_us, account=account, sending=True)
        if first:
            self.write(name)

    def change(self, name: str, now_us: int, **changes: object) -> None:
        """Change what is kept of a node; written within `LAZY_S`."""
        self.kept[name] = replace(self.kept[name], saved_us=now_us, **changes)  # type: ignore[arg-type]
        self._waiting.add(name)

    def write(self, name: str) -> None:
        """Write a node's file now."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(name)
        temporary = path.with_suffix(".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(self.kept[name]))
        temporary.replace(path)
        self._waiting.discard(name)

    def end(self) -> None:
        """Write what there is to write: nothing more is sent."""
        for name, kept in self.kept.items():
            if kept.sending:
                self.kept[name] = replace(kept, sending=False)
                self._waiting.add(name)
        self.write_waiting()

    def write_waiting(self) -> None:
        """Write the files of all nodes that changed."""
        for name in list(self._waiting):
            self.write(name)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"
