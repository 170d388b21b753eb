"""The schemas: marshmallow's fields as the service has them, and what the comments of `sql/` promise by them.

`fields` is the base of every schema, `registry` finds one by its name; `labels` reads the comments, `types` knows which
type of PostgreSQL a field carries, and `promises` holds the one against the other.
"""
