"""The buffer: readings in, chained frames at rest, and out again for whoever asks.

Nothing is imported here; take what you need from its module.

Pure (no I/O, no clock, no dice):
    frame     `pack_readings`, `make_frame`, `parse_frame`, `parse_header`, `open_readings`,
              `check_link`, `frame_hash`; `Frame`, `Header`, `Batch`, `BadFrame`; the
              protocols `Sealer` and `Opener`.
    records   `Head` (sign, verify, encoded), `parse_head`, `Tombstone`, `parse_tombstone`,
              `DropReason`; `HEAD_CONTEXT`, `RECEIPT_CONTEXT`; `Signer`, `Verifier`.
    kinds     what is measured, in which units, and from where on it is an alert.
    group     when pending readings become a frame.

The store:
    schema    the tables, on one `metadata`.
    engine    `make_engine(url)`: apsw under SQLAlchemy, FULL sync, BEGIN IMMEDIATE.
    store     `open_buffer(settings)` or `Buffer.open(url, gateway)` gives a `Buffer`::

        buffer.tables() -> list[str]
        buffer.streams(table=None, gateway=None) -> list[Stream]   oldest first
        buffer.need_table(name) -> str                  raises NotFound with suggestions
        buffer.writing_stream(conn, table) -> Stream    the newest of this gateway; made if none
        buffer.new_epoch(table, reason) -> Stream       after a restore or a conflict
        buffer.add_stream(conn, gateway, table, epoch) -> Stream    ground side; found or made
        buffer.lanes(conn, stream) -> dict[int, Lane]   counters of lanes 0, 1, 2
        with buffer.reading() as conn: …                short, deferred
        with buffer.writing() as conn: …                BEGIN IMMEDIATE … COMMIT, durable

    read      `stored_frames(conn, stream, lane, after_no, limit, max_bytes)` -> StoredFrame
              rows with `encoded`; `tombstones(conn, stream, lane, after_no)`;
              `key_records(conn, stream)`; `query(buffer, table, Query(...))`.
    appender  `Appender`: group commit; readings are acknowledged after COMMIT only.
              `AppenderThread`: the same behind a queue.
    heads     `sign_head(conn, stream, lane, no, signer, now_us)` -> Head, for any frame
              that is stored; `latest_heads(conn, stream)`.
    ack       `apply_receipt(buffer, stream, destination, receipt_no, acked, body, …)`:
              a receipt whose signature was verified; deletes up to what all destinations have.
    quota     what gives way when the buffer is full.
    cursor    how far a followed file was read.
    verify    `check(buffer, table, …)` -> VerifyReport, what `dunes check-buffer` says.
"""
