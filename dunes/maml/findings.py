"""What a reader or a validator found, and where."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from dunes.errors import DataError


class Severity(StrEnum):
    """How much a finding weighs."""

    ERROR = "error"
    """A rule of the profile is broken: the document is not valid."""
    WARNING = "warning"
    """Readable, but other readers may differ or a person should look."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to say about one place of a document.

    Attributes:
        severity: error or warning.
        code: a stable, greppable word, e.g. `duplicate-key`.
        message: one sentence for people; text from the document is bounded and quoted.
        line: from 1.
        column: from 1, in code points; a byte order mark does not count.
    """

    severity: Severity
    code: str
    message: str
    line: int
    column: int

    def __str__(self) -> str:
        """Write `line:column: severity: message [code]`."""
        return f"{self.line}:{self.column}: {self.severity}: {self.message} [{self.code}]"


@dataclass(slots=True)
class Findings:
    """The findings about one document, in the order of their places.

    Attributes:
        profile: the profile whose rules were applied.
        strict: whether core rules held whatever the profile.
        items: all findings.
    """

    profile: str = ""
    strict: bool = False
    items: list[Finding] = field(default_factory=list)

    @property
    def errors(self) -> list[Finding]:
        """The findings that make the document invalid."""
        return [f for f in self.items if f.severity is Severity.ERROR]

    @property
    def warnings(self) -> list[Finding]:
        """The findings that do not."""
        return [f for f in self.items if f.severity is Severity.WARNING]

    @property
    def ok(self) -> bool:
        """Whether the document is valid: no error among the findings."""
        return all(f.severity is not Severity.ERROR for f in self.items)

    def __iter__(self) -> Iterator[Finding]:
        """Go through all findings."""
        return iter(self.items)

    def __len__(self) -> int:
        """Count all findings."""
        return len(self.items)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Sort findings by place; what was found first stays first at one place."""
    return sorted(findings, key=lambda f: (f.line, f.column))


def quoted(text: object, limit: int = 60) -> str:
    """Quote text of a document for a message: one line, bounded, controls escaped."""
    shown = str(text)
    return ascii_controls(repr(shown if len(shown) <= limit else shown[: limit - 1] + "…"))


def ascii_controls(text: str) -> str:
    """Escape what can disturb a terminal or reorder a line: controls and bidi marks."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


class MamlError(DataError):
    """A document that cannot be used, with the place of the fault.

    Args:
        finding: the first thing that is wrong with it.
        hint: the next command to type.
    """

    code = "bad-maml"

    def __init__(self, finding: Finding, *, hint: str | None = None) -> None:
        where = f"line {finding.line}, column {finding.column}"
        super().__init__(f"{where}: {finding.message}", hint=hint, code=finding.code)
        self.finding = finding
