"""The buffer: readings in, chained frames at rest, and out again for whoever asks.

Nothing is imported here; take what you need from its module.

Pure (no I/O, no clock, no dice):
    frameheader  `parse_header`, `Header`, `BadFrame`; the sizes and bounds of a frame.
    payload   `pack_readings`, `parse_readings`, `plain_text`; `Batch`.
    frame     `make_frame`, `parse_frame`, `open_readings`, `check_link`, `frame_hash`;
              `Frame`; the protocols `Sealer` and `Opener`.
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
        buffer.new_epoch(table) -> Stream               after a restore or a conflict
        buffer.add_stream(conn, gateway, table, epoch) -> Stream    ground side; found or made
        buffer.lanes(conn, stream) -> dict[int, Lane]   counters of lanes 0, 1, 2
        with buffer.reading() as conn: …                short, one consistent state
        with buffer.writing() as conn: …                BEGIN IMMEDIATE … COMMIT, durable

    statements  `Prepared(statement)(conn, **values)` -> Rows: the fast way to run one.
    read        `stored_frames(conn, stream_id, lane, after_no, limit=, max_bytes=)` -> rows
                with `encoded`; `stored_frame`, `chain_point`, `tombstones`.
    query       `query(buffer, table, Query(...), opener_for)` -> Answer, by keyset pages.
    appender    `Appender`: group commit; readings are acknowledged after COMMIT only.
    committer   what happens within one of its transactions.
    thread      `AppenderThread`: an appender behind a queue.
    heads       `sign_head(conn, stream, lane, no, signer, now_us)` -> Head, for any frame
                whose hash is known; `store_head`, `stored_heads`.
    ack         `apply_receipt(buffer, stream, destination, receipt_no, acked, body, …)`:
                a receipt whose signature was verified; deletes what all destinations have.
    quota       what gives way when the buffer is full; `reserve` for a full disk.
    cursor      how far a followed file was read.
    keyring     this place's keys: signer, sealers, openers, verifiers; `keyrecords`,
                `opening` beside it.
    verify      `check(buffer, table, Checks(...))` -> VerifyReport, what check-buffer says;
                `chainwalk`, `findings` below it; `repair` puts damage aside; `against`
                compares with a ground station.
    intake/     bytes of files and pipes → readings, for `dunes ingest`.
    migrations/ Alembic steps, run by `migrate`.
"""
