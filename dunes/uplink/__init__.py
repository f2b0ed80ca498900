"""The uplink: frames from a gateway's buffer to a ground station, once each.

Nothing is imported here; take what you need from its module.

Pure (no I/O, no clock, no dice of their own):
    protocol   the batch and its records; limits.
    receipt    `Receipt`, `parse_receipt`; what a ground station holds, signed.
    sender     `Sender`: what to send next, what to believe. Its parts: lane, rangeset,
               window, backoff, judge.
    receiver   `receive(batch, ledger, …)`: what to store, what to refuse.

The gateway's side:
    pump       `Pump`: one buffer to one destination over a `Carrier`.
    carriers   `Carrier` and `https.HttpsCarrier`.
    outbox     frames, heads and tombstones out of the buffer; receipts into it.
    fork       what to do when the ground station knows another history of a lane.
    target     destinations by name or URL, their pinned keys.
    sync       `sync_buffer(...)`: all of it, for `mcp sync`.
    hold       an outage for rehearsals: `set_hold`, `clear_hold`, `held`.
    compare    `compare_with_ground(...)`: for `check-buffer --against`.

The ground station's side:
    ground     `GroundStation`: the store; one transaction per batch.
    enroll     who may write.
    server     the HTTP face, under uvicorn.
    tls        a certificate of its own where none is given.
"""
