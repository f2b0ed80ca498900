"""Who may do what: can the policies and the trust ledger be read, is the record whole."""

from dunes.doctor.check import Given, Result


def policies(given: Given) -> Result:
    """Say whether policies, trust ledger and the record of decisions are sound."""
    from dunes.authority.audit import AuditTrail
    from dunes.authority.auditread import read_audit
    from dunes.authority.gate import Gate
    from dunes.authority.ledger import load_ledger
    from dunes.authority.store import is_logged

    paths = given.settings.paths
    gate = Gate(paths)
    version = gate.policies().version
    ledger = load_ledger(paths)
    cut_off = sorted(name for name, tally in ledger.tallies.items() if tally.quarantined)
    report = read_audit(AuditTrail.at(paths).folder, last=0)
    if not report.intact:
        return Result("fail", f"the record of decisions: {report.wrong[0]}", "sakina log")
    if is_logged(paths) is False:
        return Result(
            "warn", f"policies of version {version} were changed by hand since they were signed",
            "sakina scope-list",
        )  # fmt: skip
    if cut_off:
        return Result("warn", f"in quarantine: {', '.join(cut_off[:5])}", "sakina status")
    what = f"version {version}, signed" if version else "the shipped ones"
    return Result("ok", f"{what}; {report.last_no} decisions on record")
