"""Telemetry coming in: bytes of a file or pipe become readings in the buffer.

fields    one record (names and values) → one Reading, or the reason why not   (pure)
lines     bytes → lines, each with its place; a line too long costs no memory   (pure)
jsondoc   bytes of one JSON document → its records, without holding it whole    (pure)
csvrows   a header, then rows → records                                         (pure)
decode    bytes → readings and rejects, whichever format it is                  (pure)
source    a file, a pipe, standard input; following one that grows and rotates
run       source → decode → appender, until the end or a signal
"""
