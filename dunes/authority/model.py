"""The nouns of a decision: who asks, what for, on what, and what was said."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Action(StrEnum):
    """What can be asked for."""

    SYNC_PUSH = "sync.push"
    """A gateway sends a table to a ground station."""
    GROUND_ACCEPT = "ground.accept"
    """A ground station takes a table from a gateway."""
    CONFIG_APPLY = "config.apply"
    """The values of a document become the gateway's settings."""
    ACTUATOR_COMMAND = "actuator.command"
    """A node that can move or switch something is told to."""
    MESH_CONFIGURE = "mesh.configure"
    """A node is let into the mesh, configured or put out."""
    NODE_FLASH = "node.flash"
    """A node is given other firmware."""
    TELEMETRY_REPORT = "telemetry.report"
    """A device reports readings into a table."""
    TABLE_READ = "table.read"
    """Readings are read back by somebody who is not at the gateway."""
    IDENTITY_REVEAL = "identity.reveal"
    """A token that stands for a person is turned back into the person's name."""
    MCP_TOOL = "mcp.tool"
    """A program calls one of the gateway's tools."""


SUBJECT_KINDS = frozenset({"local", "other", "gateway", "device", "key", "token", "user"})
"""`local`: whoever owns this installation, at its shell; `other`: another user there."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:/+-]{0,127}")


def is_subject_id(text: str) -> bool:
    """Tell whether something can name a subject: 1 to 128 of A-Z a-z 0-9 . _ @ : / + -."""
    return _ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Subject:
    """Who asks.

    Attributes:
        kind: one of `SUBJECT_KINDS`.
        id: a user's, gateway's or device's name, a key id, a token's subject.
        scopes: those that a verified token brings along.
        roles: what the trust store believes the subject's key for.
    """

    kind: str
    id: str
    scopes: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The subject as policies write it, e.g. `gateway:lunar-001`."""
        return f"{self.kind}:{self.id}"


@dataclass(frozen=True, slots=True)
class Resource:
    """What the action is about; empty where it is about none.

    Attributes:
        table: a folded table name.
        device: a device's name.
        destination: a ground station's name.
        name: a tool, a setting, a command.
    """

    table: str = ""
    device: str = ""
    destination: str = ""
    name: str = ""

    def __str__(self) -> str:
        """Write it for people."""
        parts = [
            f"{what} {value}"
            for what, value in (
                ("table", self.table),
                ("device", self.device),
                ("destination", self.destination),
                ("", self.name),
            )
            if value
        ]
        return ", ".join(part.strip() for part in parts)


NOTHING = Resource()


@dataclass(frozen=True, slots=True)
class Request:
    """One question: may `subject` do `action` on `resource`?"""

    subject: Subject
    action: str
    resource: Resource = NOTHING


@dataclass(frozen=True, slots=True)
class Standing:
    """How far somebody is trusted, by the evidence so far.

    Attributes:
        score: 0 to 1; 0.5 where nothing is known.
        quarantined: the reason for which what it asks for is refused; else empty.
    """

    score: float = 0.5
    quarantined: str = ""


UNKNOWN = Standing()
Standings = Mapping[str, Standing]
"""By the subject's or device's id, without its kind."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer.

    Attributes:
        allow: yes or no.
        reasons: a sentence each, the deciding one first.
        by: the rule's or scope's name that decided; empty where none matched.
    """

    allow: bool
    reasons: tuple[str, ...]
    by: str = ""
    request: Request | None = field(default=None, compare=False)

    @property
    def reason(self) -> str:
        """The deciding sentence."""
        return self.reasons[0]
