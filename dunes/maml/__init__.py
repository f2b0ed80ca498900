"""MAML documents: read, validate, write.

A MAML document is a Markdown file with YAML front matter that describes work for
agents: who may do what, with which input, and what was done so far. This room is
pure: bytes and times come in, values and bytes go out; nothing in a document is
ever run. MAML is by the WebXOS Research Group; this is an independent, compatible
implementation.
"""

from dunes.maml.document import Document, Section, parse
from dunes.maml.findings import Finding, Findings, MamlError, Severity
from dunes.maml.history import append_history, new_entry
from dunes.maml.markdown import Fence
from dunes.maml.profiles import PROFILES, json_schema
from dunes.maml.validate import validate

__all__ = [
    "PROFILES",
    "Document",
    "Fence",
    "Finding",
    "Findings",
    "MamlError",
    "Section",
    "Severity",
    "append_history",
    "json_schema",
    "new_entry",
    "parse",
    "validate",
]
