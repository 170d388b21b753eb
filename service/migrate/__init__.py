"""Migrating: a database's schema is brought to what `migrations/` says, and written down."""
