"""A multi-user task service in raw SQL."""

__version__ = "0.1.0"
"""The release. It stands here so that a checkout knows it, too, and not only what is installed."""
