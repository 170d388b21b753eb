"""A multi-user task service in raw SQL."""
