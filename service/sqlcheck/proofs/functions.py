"""Functions of PostgreSQL of which something is known here; of any other nothing is."""

STRICT = frozenset(
    (  # noqa: SIM905 -- a word a line would be a screen
        "abs btrim cardinality ceil char_length date_trunc encode floor hashtextextended length lower ltrim"
        " make_interval md5 octet_length pg_try_advisory_xact_lock replace round rtrim sha256 sign starts_with strpos"
        " substr timezone upper"
    ).split()
)
"""They give NULL if an argument is NULL, and else never."""

NEVER_NULL = frozenset(
    (  # noqa: SIM905 -- the same
        "clock_timestamp concat count cume_dist dense_rank gen_random_uuid jsonb_build_object now num_nonnulls"
        " num_nulls percent_rank pg_backend_pid random rank row_number statement_timestamp transaction_timestamp"
        " version"
    ).split()
)
"""They never give NULL."""

AGGREGATES = frozenset({"array_agg", "avg", "bool_and", "bool_or", "count", "every", "max", "min", "string_agg", "sum"})
"""They make one value of many; all but count make NULL of none, and else only of NULLs."""

SCALAR = STRICT | NEVER_NULL | AGGREGATES | {"current_setting", "extract"}
"""They give one value, and not a set of them."""

VOLATILE = frozenset({"clock_timestamp", "gen_random_uuid", "pg_try_advisory_xact_lock", "random"})
"""They may give another value for each row that they are asked of."""
