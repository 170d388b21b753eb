"""Proofs: what must be true of a statement by its parse tree and the schema, whatever rows there are.

`ownership` is about whose rows are in reach, `cardinality` about how many rows there can be, `nullability` and
`null_uses` about NULL, `writes` and `constraints` about what can be broken, `privileges` about what must be granted.
`functions` is what is known of PostgreSQL's own.
"""
