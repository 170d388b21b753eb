"""IF EXISTS: the runner knows what has been applied, so that nothing is made or dropped only if it is there or not."""

from collections.abc import Iterator
from itertools import pairwise

from pglast.parser import scan

from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.lint.scripts import Script


def check(script: Script) -> Iterator[Diagnostic]:
    """Yield each IF EXISTS and IF NOT EXISTS, but for that of what is repeated when it has failed."""
    for statement in script.statements:
        names = [token.name for token in scan(statement.sql) if "COMMENT" not in token.name]
        said = set(pairwise(names))
        if ("IF_P", "NOT") in said:
            yield script.diagnostic(
                statement,
                "Says IF NOT EXISTS, which takes whatever has the name for what is meant: leave that out, since the"
                " runner knows what was applied.",
            )
        if ("IF_P", "EXISTS") in said and not statement.is_concurrent:
            yield script.diagnostic(
                statement,
                "Says IF EXISTS, which hides that something is not as it should be: leave that out, since the runner"
                " knows what was applied.",
            )
