"""Rollbacks: each migration can be taken back."""

from collections.abc import Iterator

from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.lint.scripts import Script


def check(script: Script) -> Iterator[Diagnostic]:
    """Yield a diagnostic where a migration has no rollback."""
    if not script.is_rollback and script.migration.rollback is None:
        yield script.diagnostic(
            1,
            f"Has no rollback: write {script.migration.rollback_path.name}, which begins with `-- Loses: …`; where"
            " nothing is to be undone, a comment says so.",
        )
