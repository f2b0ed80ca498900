"""MAML documents: read, validate, write.

A MAML document is a Markdown file with YAML front matter that describes work for
agents: who may do what, with which input, and what was done so far. This room is
pure: bytes and times come in, values and bytes go out; nothing in a document is
ever run. MAML is by the WebXOS Research Group; this is an independent, compatible
implementation.
"""

from dunes.maml.document import Document, Section, parse
from dunes.maml.findings import Finding, Findings, MamlError, Severity
from dunes.maml.markdown import Fence

__all__ = ["Document", "Fence", "Finding", "Findings", "MamlError", "Section", "Severity", "parse"]
