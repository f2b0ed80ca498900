"""The steps that bring a buffer database to the schema of this program (Alembic).

Run by `dunes.buffer.migrate`, never by hand. A new step is a file in `versions/`,
a new `REVISION` in `dunes.buffer.schema`, and a stored database of the revision
before it in `tests/databases/`.
"""
