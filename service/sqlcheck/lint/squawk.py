"""squawk: another program, with rules about what a change of a table does to those who use it meanwhile.

It does not judge rollbacks. They make exactly the schema that was there before, at once, and so cannot go the safe way
that squawk asks for, which leads over several migrations; and to drop is what they are for.
"""

import json
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from service.sqlcheck.diagnostics import CheckError, Diagnostic
from service.sqlcheck.lint.scripts import Script

_LAST_STEPS: Final = frozenset(
    {
        "ban-drop-column",
        "ban-drop-constraint",
        "ban-drop-default",
        "ban-drop-domain",
        "ban-drop-function",
        "ban-drop-generated-expression",
        "ban-drop-not-null",
        "ban-drop-sequence",
        "ban-drop-table",
        "ban-drop-type",
        "ban-drop-view",
    }
)
"""The rules about a change that breaks the code of before, and nothing once that is gone."""


def check_with_squawk(scripts: Sequence[Script], configuration: Path) -> Iterator[Diagnostic]:
    """Yield what squawk says of the files that apply migrations.

    Args:
        scripts: the files of every migration.
        configuration: squawk's own, which says what it does not look at, and why.

    Raises:
        CheckError: squawk is not installed, or fails.
    """
    readable = [script for script in scripts if not script.is_rollback and not script.unreadable]
    for is_transactional in (True, False):
        part = {
            script.path.name: script for script in readable if script.migration.is_transactional is is_transactional
        }
        for violation in _violations(part, configuration, assume_in_transaction=is_transactional):
            script = part[violation["file"]]
            if not (script.migration.goes_after and violation["rule_name"] in _LAST_STEPS):
                # Its first line is 0.
                yield script.diagnostic(violation["line"] + 1, _message(violation))


def _violations(
    scripts: dict[str, Script], configuration: Path, *, assume_in_transaction: bool
) -> list[dict[str, Any]]:
    if not scripts:
        return []
    program = shutil.which("squawk", path=sysconfig.get_path("scripts")) or shutil.which("squawk")
    if program is None:
        raise CheckError("squawk is not installed: pip install -e '.[sqlcheck]' installs what checks need.")
    command = [program, "--reporter", "json", "--config", str(configuration.resolve())]
    if assume_in_transaction:
        command.append("--assume-in-transaction")
    folder: Path = next(iter(scripts.values())).path.parent
    # What the environment says of squawk is not for us.
    done = subprocess.run([*command, *scripts], cwd=folder, env={}, capture_output=True, encoding="utf-8", check=False)  # noqa: S603 -- no shell, and the names are those of migrations
    try:
        violations: list[dict[str, Any]] = json.loads(done.stdout)
    except ValueError as error:
        raise CheckError(f"squawk failed: {' '.join(done.stderr.split())}") from error
    return violations


def _message(violation: dict[str, Any]) -> str:
    rule = violation["rule_name"]
    wrong = " ".join(violation["message"].split()).rstrip(".")
    if rule in _LAST_STEPS:
        to_do = "Do so in a migration whose `Order:` says `after the code …`, when no running release uses it any more"
    else:
        to_do = " ".join((violation["help"] or "").split()).rstrip(".") or (
            f"Do it another way, or write why not in a comment above it, and `-- squawk-ignore {rule}` below that"
        )
    return f"{wrong} (squawk: {rule}). {to_do}."
