"""Findings as SARIF 2.1.0, for code scanning services and editors."""

from collections.abc import Iterable
from typing import Any

from dunes.maml.findings import Finding, Findings

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
INFORMATION_URI = "https://pypi.org/project/dunes-mcp/"


def sarif(version: str, reports: Iterable[tuple[str, Findings]]) -> dict[str, Any]:
    """Make one SARIF log.

    Args:
        version: of the tool.
        reports: (file name or URI, findings) of each document.
    """
    results = [_result(name, finding) for name, found in reports for finding in found]
    rules = [{"id": code} for code in sorted({r["ruleId"] for r in results})]
    driver = {
        "name": "dunes maml validate",
        "version": version,
        "informationUri": INFORMATION_URI,
        "rules": rules,
    }
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(name: str, finding: Finding) -> dict[str, Any]:
    region = {"startLine": finding.line, "startColumn": finding.column}
    location = {"artifactLocation": {"uri": name}, "region": region}
    return {
        "ruleId": finding.code,
        "level": str(finding.severity),
        "message": {"text": finding.message},
        "locations": [{"physicalLocation": location}],
    }
