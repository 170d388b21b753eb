"""The queries that a function can lead to, as the source of a package tells.

It is rapid type analysis (Bacon and Sweeney, 1996); nothing is imported or run. A definition is a function, a method, a
class, or a value of a module, and what its text names it may use: in its body, its decorators, its annotations, and the
functions and lambdas in it. So a call, a callback and a table of functions count alike. Names are found through
imports; `thing.name` may be the method of that name of every class that the same way leads to; `queries.name` is a
query, and `queries` alone may be any.

A class is led to by whatever names it: what makes one, a parameter or a result that is annotated with it, an
`AppKey("throttle", Throttle)`. It brings along what is called without being named: its special methods, all its methods
where it has a base, which may call them, and the classes that can stand in for it, by inheriting or as Protocols go.

More may be found than can happen, as where a variable has the name of a function. Less is found only where a method is
asked for by a string, a name means two things in one module, or a function is handed over as a value somewhere that the
way does not lead to.
"""

import ast
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import resolve_name
from pathlib import Path
from typing import Final

from service.migrate.errors import one_line
from service.sqlcheck.diagnostics import CheckError

ANY: Final = "*"
"""Among the queries that are found: it may be any of them."""

_PROTOCOL: Final = "typing.Protocol"

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition: its text, and what the names of its module stand for, by their full names."""

    names: Mapping[str, str]
    text: list[ast.AST] = field(default_factory=list)

    def resolve(self, node: ast.AST) -> str | None:
        """Return the full name of what `name` or `name.name` stands for here, as far as it can be known."""
        if isinstance(node, ast.Attribute):
            holder = self.resolve(node.value)
            return holder and f"{holder}.{node.attr}"
        return self.names.get(node.id) if isinstance(node, ast.Name) else None


@dataclass(frozen=True, slots=True)
class _Class:
    """A class: the full names of its bases, and of its methods by their names."""

    bases: tuple[str | None, ...]
    methods: Mapping[str, str]

    @property
    def called_unnamed(self) -> set[str]:
        return {method for name, method in self.methods.items() if self.bases or name.startswith("__")}


@dataclass(frozen=True, slots=True)
class _Uses:
    """The uses of a definition: queries by their names, methods of whatever class by theirs, and other definitions."""

    queries: set[str] = field(default_factory=set)
    methods: set[str] = field(default_factory=set)
    definitions: set[str] = field(default_factory=set)


class Package:
    """The definitions of a package, by their full names such as `service.accounts.throttle.Throttle.admit`.

    Args:
        folder: its source; the package has the folder's name.
        queries: the full name of the object whose attributes are the queries.
        without: packages in it that are left out.

    Raises:
        CheckError: a file of it cannot be read; the message says which, and why.
    """

    def __init__(self, folder: Path, queries: str, without: Collection[str] = ()) -> None:
        self.name = folder.name
        self.definitions: dict[str, Definition] = {}
        self._queries = queries
        self._modules: dict[str, dict[str, str]] = {}
        self._classes: dict[str, _Class] = {}
        for file in sorted(folder.rglob("*.py")):
            path = file.relative_to(folder.parent).with_suffix("")
            package = ".".join(path.parts[:-1])
            if not f"{package}.".startswith(tuple(f"{left_out}." for left_out in without)):
                module = package if path.name == "__init__" else f"{package}.{path.name}"
                self._read(module, package, file)
        self._uses = {name: self._uses_of(definition) for name, definition in self.definitions.items()}
        self._bring_along()

    def find(self, name: str | None) -> str | None:
        """Follow a full name through the imports of our own modules; None where it is no definition of ours."""
        followed = name and self._follow(name)
        return followed if followed in self.definitions else None

    def queries_from(self, starts: Iterable[str], stops: Collection[str] = ()) -> frozenset[str]:
        """Return the names of the queries that definitions can lead to, `ANY` where it may be each.

        Args:
            starts: the full names of the definitions.
            stops: those of definitions that are not followed.
        """
        reached, found, called = set[str](), set[str](), set[str]()
        ahead = set(starts)
        while ahead:
            reached |= ahead
            uses = [self._uses[name] for name in ahead]
            found.update(*(one.queries for one in uses))
            called.update(*(one.methods for one in uses))
            ahead = set[str]().union(*(one.definitions for one in uses))
            for class_ in reached & self._classes.keys():
                methods = self._classes[class_].methods
                ahead |= {methods[name] for name in methods.keys() & called}
            ahead -= reached | set(stops)
        return frozenset(found)

    def _follow(self, name: str, on_the_way: frozenset[str] = frozenset()) -> str:
        holder, _, last = name.rpartition(".")
        if name in self.definitions or not holder:
            return name
        on_the_way |= {name}
        holder = self._follow(holder, on_the_way)
        own = f"{holder}.{last}"
        imported = self._modules.get(holder, {}).get(last, own)
        # Of `from shop.version import version` in shop/__init__.py, `shop.version` is both the module and what it has.
        return own if imported in {own, *on_the_way} else self._follow(imported, on_the_way)

    def _read(self, module: str, package: str, file: Path) -> None:
        tree = _parse(file)
        names = self._modules[module] = dict(_imports(tree, package, file))
        for name, node in _bindings(tree):
            full = names[name] = f"{module}.{name}"
            if isinstance(node, ast.ClassDef):
                self._read_class(full, node, names)
            else:
                self._add(full, names, node)

    def _read_class(self, name: str, node: ast.ClassDef, names: Mapping[str, str]) -> None:
        functions = [part for part in node.body if isinstance(part, _Function)]
        rest = [part for part in node.body if not isinstance(part, _Function)]
        for function in functions:
            self._add(f"{name}.{function.name}", names, function)
        self._add(name, names, *node.decorator_list, *node.bases, *node.keywords, *rest)
        # Of Protocol[T], Protocol.
        bases = [base.value if isinstance(base, ast.Subscript) else base for base in node.bases]
        resolved = tuple(Definition(names).resolve(base) for base in bases)
        self._classes[name] = _Class(resolved, {one.name: f"{name}.{one.name}" for one in functions})

    def _add(self, name: str, names: Mapping[str, str], *text: ast.AST) -> None:
        self.definitions.setdefault(name, Definition(names)).text.extend(text)

    def _uses_of(self, definition: Definition) -> _Uses:
        uses, ahead = _Uses(), list(definition.text)
        while ahead:
            node = ahead.pop()
            found = self.find(definition.resolve(node))
            if isinstance(node, ast.Attribute):
                if self.find(definition.resolve(node.value)) == self._queries:
                    uses.queries.add(node.attr)
                    continue
                uses.methods.add(node.attr)
            if found == self._queries:
                uses.queries.add(ANY)
            elif found:
                uses.definitions.add(found)
            ahead += ast.iter_child_nodes(node)
        return uses

    def _bring_along(self) -> None:
        """Add what comes with a class without being named, and with a method its class."""
        for name, one in self._classes.items():
            self._uses[name].definitions.update(one.called_unnamed)
            for method in one.methods.values():
                self._uses[method].definitions.add(name)
            for base in filter(None, map(self.find, one.bases)):
                self._uses[base].definitions.add(name)
            if _PROTOCOL in one.bases:
                fit = (other for other, its in self._classes.items() if its.methods.keys() >= one.methods.keys())
                self._uses[name].definitions.update(fit)


def _parse(file: Path) -> ast.Module:
    """Return the text of a file in Python.

    Raises:
        CheckError: it cannot be read, or is no Python.
    """
    try:
        return ast.parse(file.read_bytes())
    except OSError as error:
        raise CheckError(f"{file} cannot be read: {error.strerror}.") from error
    except SyntaxError as error:
        place = f"{file}:{error.lineno}" if error.lineno else f"{file}"
        raise CheckError(f"{place} cannot be read as Python: {error.msg}.") from error
    except (MemoryError, RecursionError, ValueError) as error:  # too deep for the parser, or a NUL
        raise CheckError(f"{file} cannot be read as Python: {one_line(error) or 'too deeply nested'}.") from error


def _imports(tree: ast.Module, package: str, file: Path) -> Iterator[tuple[str, str]]:
    """Yield the names that imports bind, in functions too, and what they stand for.

    Raises:
        CheckError: one is of what lies outside of all packages.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                first = one.name.partition(".")[0]  # which is all that `import a.b` binds
                yield (one.asname, one.name) if one.asname else (first, first)
        elif isinstance(node, ast.ImportFrom):
            try:
                source = resolve_name("." * node.level + (node.module or ""), package)
            except ImportError as error:
                raise CheckError(f"{file}:{node.lineno} cannot be imported: {one_line(error)}.") from error
            yield from ((one.asname or one.name, f"{source}.{one.name}") for one in node.names)


def _bindings(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield the other names that a module binds, with what binds them; some of them again and again."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield child.name, child
            case ast.Assign(targets=targets):
                yield from ((name, child) for target in targets for name in _targets(target))
            case ast.AnnAssign(target=target) | ast.AugAssign(target=target):
                yield from ((name, child) for name in _targets(target))
            case _:  # an `if`, a `try`, and whatever is in it
                yield from _bindings(child)


def _targets(node: ast.AST) -> Iterator[str]:
    """Yield the names that an assignment changes: `TABLE["key"] = …` adds to what TABLE is."""
    match node:
        case ast.Name(id=name):
            yield name
        case ast.Attribute(value=value) | ast.Subscript(value=value) | ast.Starred(value=value):
            yield from _targets(value)
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            for element in elements:
                yield from _targets(element)
