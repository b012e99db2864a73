"""Alembic's migrations of the gateway's database. gateway.store.schema runs them."""
