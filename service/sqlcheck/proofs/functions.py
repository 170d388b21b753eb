"""Functions of PostgreSQL of which something is known here; of any other nothing is."""

from typing import Final

from pglast import ast

from service.sqlcheck.reading.statements import Statement
from service.sqlcheck.reading.trees import Node, words

STRICT: Final = frozenset(
    (  # noqa: SIM905 -- a word a line would be a screen
        "abs btrim cardinality ceil char_length date_trunc encode floor hashtextextended length lower ltrim"
        " make_interval md5 octet_length pg_try_advisory_xact_lock replace round rtrim sha256 sign starts_with strpos"
        " substr timezone upper"
    ).split()
)
"""Functions that give NULL if an argument is NULL, and else never."""

NEVER_NULL: Final = frozenset(
    (  # noqa: SIM905 -- the same
        "clock_timestamp concat count cume_dist dense_rank gen_random_uuid jsonb_build_object now num_nonnulls"
        " num_nulls percent_rank pg_backend_pid random rank row_number statement_timestamp transaction_timestamp"
        " version"
    ).split()
)
"""Functions that never give NULL."""

AGGREGATES: Final = frozenset(
    {"array_agg", "avg", "bool_and", "bool_or", "count", "every", "max", "min", "string_agg", "sum"}
)
"""Functions that make one value of many; all but count make NULL of none, and else only of NULLs."""

SCALAR: Final = STRICT | NEVER_NULL | AGGREGATES | {"current_setting", "extract"}
"""Functions that give one value, and not a set of them."""

VOLATILE: Final = frozenset({"clock_timestamp", "gen_random_uuid", "pg_try_advisory_xact_lock", "random"})
"""Functions that may give another value for each row that they are asked of."""

HARMLESS: Final = frozenset(
    (  # noqa: SIM905 -- the same
        "abs array_agg array_length avg bool_and bool_or btrim cardinality ceil char_length clock_timestamp "
        "count current_setting date_part date_trunc extract floor gen_random_uuid generate_series "
        "hashtextextended jsonb_agg jsonb_build_object left length lower ltrim make_interval max min now "
        "octet_length pg_try_advisory_xact_lock replace right round row_number rtrim sha256 split_part "
        "starts_with statement_timestamp string_agg strpos substring sum timezone to_char to_jsonb trunc "
        "unnest upper"
    ).split()
)
"""Functions that read no table, whatever they are given. A project may name more of them: `harmless_functions`."""


def called_name(call: Node) -> str:
    """Return the name of the function that is called, without the schema of PostgreSQL's own."""
    return ".".join(words(call.funcname)).removeprefix("pg_catalog.")


def called(statement: Statement) -> list[str]:
    """Return the name of every function that a statement calls, in alphabetical order."""
    return sorted({called_name(call) for call in statement.nodes(ast.FuncCall)})
