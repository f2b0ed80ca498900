"""The link: do the dish and the router answer?"""

from dunes.doctor.check import Given, Result

ANSWER_S = 4.0


def router(given: Given) -> Result:
    """Ask dish and router on all their ports, as `dunes init-starlink` does."""
    from dunes.clock import SYSTEM_CLOCK, US_PER_S
    from dunes.site import running_site
    from dunes.starlink.client import targets
    from dunes.starlink.probe import probe

    settings = given.settings
    site = running_site(settings.paths)
    asked = [
        target
        for role in ("dish", "router")
        for target in targets(
            role, settings[f"starlink.{role}_ip"], settings["starlink.transport"], site
        )
    ]
    unix_s = SYSTEM_CLOCK.unix_us() / US_PER_S
    findings = probe(asked, timeout_s=min(ANSWER_S, given.limit_s / 2), unix_s=unix_s)
    hint = findings.hints[0] if findings.hints else ""
    simulated = " (simulated)" if findings.simulated else ""
    if not findings.devices:
        known = bool(settings["starlink.devices"])
        detail = "; ".join(dict.fromkeys(f"{v.address} {v.verdict}" for v in findings.verdicts))
        if known:
            return Result("fail", f"neither dish nor router answers: {detail}", hint)
        return Result(
            "warn", f"no Starlink is set up and none answers: {detail}", "dunes init-starlink"
        )
    names = [f"{role} {d.id} at {d.address}" for role, d in sorted(findings.devices.items())]
    return Result("ok", ", ".join(names) + simulated)
