"""Alembic's entry: migrates the connection the store hands over."""

from alembic import context

from workbench.core.store import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
