"""The migrations that this code comes with, and how a database stands to them."""
