"""Bringing a database's schema to what `migrations/` says, and writing that schema down."""
