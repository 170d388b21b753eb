"""What is proved about `sql/`, and what is told of it: `python -m service sql`."""
