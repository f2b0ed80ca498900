"""What Alembic runs: the steps, on the connection and in the transaction it is given."""

from alembic import context

from dunes.buffer.migrate import VERSION_TABLE
from dunes.buffer.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
