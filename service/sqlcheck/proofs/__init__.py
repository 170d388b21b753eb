"""Proofs: what must be true of a statement by its parse tree and the schema, whatever rows there are.

`ownership` is about whose rows are in reach, `nullability` and `null_uses` about NULL, `writes` and `constraints` about
the constraints that can be broken, `privileges` about those that must be granted. `cardinality` is about how many rows
there can be, by way of `unique_keys`, functional `dependencies` and `aggregates`. `functions` is what is known of
PostgreSQL's own.
"""
