"""Sources: the fields and the settings that feed the parameters of a statement, as its `Takes:` names them.

The grammar of `Takes:` is in service.schemas.labels.
"""

from collections.abc import Iterator
from contextlib import suppress

from service.schemas.labels import ContractError, Source, read_source, read_takes
from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.reading.statements import Statement


def sources(statement: Statement) -> dict[str, Source]:
    """Return the source of each parameter, by its name and in the order of their numbers.

    Parameters that nothing feeds are left out: `diagnostics` says so.
    """
    found: dict[str, Source] = {}
    label = statement.labels.get("Takes")
    for text in read_takes(label.text) if label else ():
        with suppress(ContractError):
            found |= read_source(text, statement.parameters, statement.registry)
    return {parameter: found[parameter] for parameter in statement.parameters if parameter in found}


def diagnostics(statement: Statement) -> Iterator[Diagnostic]:
    """Yield what is wrong with the label itself."""
    label = statement.labels.get("Takes")
    if label is None:
        if statement.parameters:
            yield statement.diagnostic("contracts", "Does not say what feeds its parameters: add a line `-- Takes:`.")
        return
    fed: dict[str, list[str]] = {parameter: [] for parameter in statement.parameters}
    for text in read_takes(label.text):
        try:
            for parameter, source in read_source(text, statement.parameters, statement.registry).items():
                fed[parameter].append(source.name)
        except ContractError as error:
            yield statement.diagnostic("contracts", str(error), label)
    for parameter, names in fed.items():
        if not names:
            yield statement.diagnostic("contracts", f"Nothing feeds :{parameter}: name its schema under Takes.", label)
        elif len(names) > 1:
            yield statement.diagnostic(
                "contracts",
                f"Both {' and '.join(names)} feed :{parameter}: say which, as `{parameter} from {names[0]}`.",
                label,
            )
