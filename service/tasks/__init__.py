"""Tasks: what users want done."""
