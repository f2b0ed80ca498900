"""The verdict as a receipt: signed, mirrored, in the transparency log."""

from dunes.authority.record import Recorder
from sakina.verification.verdict import VerifyReport


def issue_receipt(recorder: Recorder, report: VerifyReport) -> bytes:
    """Issue a receipt of a report, and give its file's content."""
    import msgspec

    source = msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"
    said = {
        "scope": report.scope,
        "passed": report.passed,
        "simulated": report.simulated,
        "devices": {v.device: {"passed": v.passed, "level": v.level} for v in report.devices},
    }
    return recorder.record("verification.json", source, {"verification": said}).data
