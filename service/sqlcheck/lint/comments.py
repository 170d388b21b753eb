"""Comments: all that a migration makes is explained where people look, in the database itself."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

from pglast import ast
from pglast.enums import ObjectType

from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.lint.scripts import Script
from service.sqlcheck.reading.trees import Node, is_a, words

Named: TypeAlias = tuple[ObjectType, str]
"""A kind of object, and the name of one."""

_WORDS: Final = {
    ObjectType.OBJECT_COLLATION: "COLLATION",
    ObjectType.OBJECT_DOMAIN: "DOMAIN",
    ObjectType.OBJECT_FUNCTION: "FUNCTION",
    ObjectType.OBJECT_MATVIEW: "MATERIALIZED VIEW",
    ObjectType.OBJECT_PROCEDURE: "PROCEDURE",
    ObjectType.OBJECT_TABLE: "TABLE",
    ObjectType.OBJECT_TYPE: "TYPE",
    ObjectType.OBJECT_VIEW: "VIEW",
}


def check(script: Script) -> Iterator[Diagnostic]:
    """Yield what a file makes without a comment."""
    here = _commented(script)
    # It keeps its comment if it is replaced.
    earlier = set[Named]().union(*map(_commented, script.earlier))
    for statement in script.statements:
        made = _made(statement.node)
        if made is None or made in here or (made in earlier and getattr(statement.node, "replace", False)):
            continue
        kind, name = made
        signature = "(…)" if kind in {ObjectType.OBJECT_FUNCTION, ObjectType.OBJECT_PROCEDURE} else ""
        yield script.diagnostic(
            statement,
            f"Makes {name} and does not say what it is for: add COMMENT ON {_WORDS[kind]} {name}{signature} IS '…'.",
        )


def _commented(script: Script) -> set[Named]:
    """Return what a file gives a comment."""
    return {
        (statement.node.objtype, _name(statement.node.object))
        for statement in script.statements
        if is_a(statement.node, ast.CommentStmt) and statement.node.comment
    }


def _made(node: Node) -> Named | None:
    """Return what a statement makes, of the kinds that need a comment."""
    made = _MAKERS.get(type(node))
    return made(node) if made else None


def _stored(kind: ObjectType, relation: Node) -> Named | None:
    """Return a table or what is like one, unless it is temporary, and gone with the session."""
    return None if relation.relpersistence == "t" else (kind, relation.relname)


def _name(named: Node) -> str:
    """Return the last word of what a COMMENT is on."""
    if is_a(named, ast.ObjectWithArgs):
        return _last(named.objname)
    return _last(named.names if is_a(named, ast.TypeName) else named if isinstance(named, tuple) else ())


def _last(names: Iterable[Node] | None) -> str:
    found = words(names)
    return found[-1] if found else ""


_MAKERS: Final[dict[type[ast.Node], Callable[[Node], Named | None]]] = {
    ast.CompositeTypeStmt: lambda node: (ObjectType.OBJECT_TYPE, node.typevar.relname),
    ast.CreateDomainStmt: lambda node: (ObjectType.OBJECT_DOMAIN, _last(node.domainname)),
    ast.CreateEnumStmt: lambda node: (ObjectType.OBJECT_TYPE, _last(node.typeName)),
    ast.CreateFunctionStmt: lambda node: (
        ObjectType.OBJECT_PROCEDURE if node.is_procedure else ObjectType.OBJECT_FUNCTION,
        _last(node.funcname),
    ),
    ast.CreateRangeStmt: lambda node: (ObjectType.OBJECT_TYPE, _last(node.typeName)),
    ast.CreateStmt: lambda node: _stored(ObjectType.OBJECT_TABLE, node.relation),
    ast.CreateTableAsStmt: lambda node: _stored(node.objtype, node.into.rel),
    ast.DefineStmt: lambda node: (node.kind, _last(node.defnames)) if node.kind in _WORDS else None,
    ast.SelectStmt: lambda node: _stored(ObjectType.OBJECT_TABLE, node.intoClause.rel) if node.intoClause else None,
    ast.ViewStmt: lambda node: _stored(ObjectType.OBJECT_VIEW, node.view),
}
"""Each kind of statement that makes something, and what that is."""
