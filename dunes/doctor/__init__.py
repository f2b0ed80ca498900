"""Is this gateway fit for its work? One small check per thing that can be wrong.

    check     `Check`, `Result`, `Finding`, `examine`: how checks are run, each within
              its time, all at once.
    checks    `CHECKS`, the table of them.
    machine   scripts on PATH, clock, disk.
    radio     Bluetooth adapter, D-Bus with BlueZ.
    store     database revision, SQLite engine, key modes.
    link      router and dish.
    engine    liboqs, the second crypto engine.

Nothing is imported here, and each check imports what it needs when it runs.
"""
