"""The table of checks, in the order in which a person would look."""

from dunes.doctor import engine, link, machine, radio, store, trust
from dunes.doctor.check import Check

CHECKS: tuple[Check, ...] = (
    Check("scripts", machine.scripts),
    Check("clock", machine.clock),
    Check("disk", machine.disk),
    Check("sqlite", store.sqlite),
    Check("database", store.database),
    Check("keys", store.keys),
    Check("policies", trust.policies),
    Check("liboqs", engine.liboqs),
    Check("dbus", radio.dbus),
    Check("adapter", radio.adapter),
    Check("router", link.router),
)
