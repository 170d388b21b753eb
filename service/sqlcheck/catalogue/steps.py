"""Plans as the catalogue shows them: what EXPLAIN says that is the same on every machine, in the query's own names."""

import re
from collections.abc import Sequence
from typing import Final

from service.sqlcheck.catalogue.model import PlanStep
from service.sqlcheck.trial.execution import PlanNode

# What `_step` puts elsewhere, and what tells a reader nothing.
_NO_DETAILS: Final = frozenset(
    {
        "Alias",
        "Async Capable",
        "CTE Name",
        "Disabled",
        "Index Name",
        "Inner Unique",
        "Join Type",
        "Node Type",
        "Operation",
        "Parallel Aware",
        "Parent Relationship",
        "Partial Mode",
        "Plans",
        "Relation Name",
        "Scan Direction",
        "Strategy",
        "Subplan Name",
    }
)
_AGGREGATES: Final = {"Hashed": "HashAggregate", "Mixed": "MixedAggregate", "Sorted": "GroupAggregate"}
_PARAMETER: Final = re.compile(r"\$(\d+)")


def read_plan(plan: PlanNode, parameters: Sequence[str]) -> PlanStep:
    """Return a plan, as EXPLAIN (FORMAT JSON) writes it without costs.

    Args:
        plan: the node at the top.
        parameters: the names of the parameters, in the order of their numbers.
    """
    details = {
        name: named(_text(value), parameters)
        for name, value in plan.items()
        if name not in _NO_DETAILS and not isinstance(value, bool)
    }
    table, alias = str(plan.get("Relation Name", "")), str(plan.get("Alias", ""))
    return PlanStep(
        role=plan.get("Subplan Name", ""),
        kind=_kind(plan),
        table=table,
        alias=str(plan.get("CTE Name", "" if alias == table else alias)),
        index=plan.get("Index Name", ""),
        details=details,
        steps=tuple(read_plan(below, parameters) for below in plan.get("Plans", ())),
    )


def named(text: str, parameters: Sequence[str]) -> str:
    """Return a part of a statement with the names of the parameters in the place of their numbers."""

    def name(match: re.Match[str]) -> str:
        number = int(match[1])
        return f":{parameters[number - 1]}" if 0 < number <= len(parameters) else match[0]

    return _PARAMETER.sub(name, text)


def _kind(plan: PlanNode) -> str:
    """Return what a node does, in the words of EXPLAIN's own text."""
    kind: str = plan["Node Type"]
    if kind == "ModifyTable":
        return str(plan["Operation"])
    if kind == "Aggregate":
        return _AGGREGATES.get(plan.get("Strategy", ""), kind)
    join = plan.get("Join Type", "Inner")
    if join != "Inner":
        return f"{kind.removesuffix(' Join')} {join} Join"
    return f"{kind} Backward" if plan.get("Scan Direction") == "Backward" else kind


def _text(value: object) -> str:
    """Return a condition without the brackets around the whole of it, and a list with commas."""
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    text = str(value)
    depth = 0
    for place, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            return text[1:-1] if text.startswith("(") and place == len(text) - 1 else text
    return text
