"""The uplink: frames from a gateway's buffer to a ground station, once each.

Nothing is imported here; take what you need from its module.

Pure (no I/O, no clock, no dice of their own):
    protocol   the batch and its records; limits.
    receipt    `Receipt`, `parse_receipt`; what a ground station holds, signed.
    sender     `Sender`: what to send next, what to believe. Its parts: lane, rangeset,
               window, backoff, judge.
    receiver   `receive(batch, ledger, …)`: what to store, what to refuse.

The gateway's side:
    report     `SyncReport`: what `mcp sync` prints.
    sync       `open_sync(settings, table, destination, …).run(…)`: all of `mcp sync`.
    pump       `Pump`: one buffer to one destination over a `Carrier`.
    carriers   `Carrier` and `https.HttpsCarrier`.
    outbox     frames, heads and tombstones out of the buffer.
    inbox      receipts into it.
    fork       what to do when the ground station knows another history of a lane.
    forget     what a buffer knows of its destinations.
    target     destinations by name or URL, their pinned keys; `gateway_name`.
    hold       an outage for rehearsals: `set_hold`, `clear_hold`, `held`.
    against    a ground station to compare with, for `check-buffer --against`.

The ground station's side:
    grounddir  what lies where in its data directory.
    ground     `GroundStation`: the store; one transaction per batch.
    ledger     one stream of it, within a transaction.
    enroll     who may write: `enroll(data_dir, gateway, spki_pem, api_key)`.
    server     it on the network: `async with serving(station, host, port, certificate)`.
    app        its HTTP face, from `request`, `admission` and `resources` to `answers`.
    tls        a certificate of its own where none is given.
    overlook   what it holds; `audit`: whether that is sound.
"""
