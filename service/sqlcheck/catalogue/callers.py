"""The callers of each query: the routes, the commands and the background jobs.

Routes and commands are found in the source, by the decorators of aiohttp and click that make them, and `callgraph` says
where each leads. What is around a handler counts as its route's: its own decorators, and each middleware. A route that
lends a connection does not run the queries of the job that looks after connections; nor does a command that starts the
service run those of its jobs and of its middlewares.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from service.sqlcheck.catalogue.callgraph import ANY, Definition, Package
from service.sqlcheck.project import Callers, Project

_ROUTE_TABLE: Final = "aiohttp.web.RouteTableDef"

Run = Mapping[str, frozenset[str]]
"""The queries that each route, command and job runs, `ANY` among them where it may be each."""


def callers(project: Project, names: Sequence[str]) -> dict[str, list[str]]:
    """Say of each query who runs it.

    Args:
        project: the project, whose program is read.
        names: the names of the queries.

    Returns:
        By name, in alphabetical order: `GET /api/tasks`, `python -m service purge`, `in the background: …`. Nobody runs
        a query whose list is empty.

    Raises:
        CheckError: the project's description names what its program does not have, or a file cannot be read.
    """
    if project.callers is None:
        return {name: [] for name in names}
    run = queries_of_each(project, project.callers)
    return {name: sorted(who for who, queries in run.items() if {name, ANY} & queries) for name in names}


def read_package(project: Project, described: Callers) -> Package:
    """Read the source of a program, whose package lies in a project's folder or is installed.

    Raises:
        CheckError: there is no such package, or none of those in it that are to be left out; or a file cannot be read.
    """
    source = project.folder / described.package
    if not source.is_dir():
        spec = find_spec(described.package)
        if spec is None or not spec.submodule_search_locations:
            raise project.error("callers.package", f"There is no package {described.package}.")
        source = Path(spec.submodule_search_locations[0])
    for name in described.without:
        first, *rest = name.split(".")
        if first != source.name or not source.joinpath(*rest).is_dir():
            raise project.error("callers.without", f"There is no package {name} in {source.name}.")
    return Package(source, described.queries, without=described.without)


def queries_of_each(project: Project, described: Callers) -> Run:
    """Return the queries that each route, command and job runs.

    Args:
        project: the project.
        described: its program, how that is called, and its background jobs.

    Raises:
        CheckError: the program has no such job, no such queries or no such package, or a file cannot be read.
    """
    package = read_package(project, described)
    # Misspelled, they would have nobody run any query.
    for entry, names in (("queries", [described.queries]), ("jobs", sorted(described.jobs))):
        for name in names:
            if name not in package.definitions:
                raise project.error(f"callers.{entry}", f"The package {package.name} defines no {name}.")
    around = set(_middlewares(package))
    starts = {text: {name} for name, text in described.jobs.items()}
    starts |= {route: {handler, *around} for route, handler in _routes(package)}
    starts |= {command: {function} for command, function in _commands(package, described.program)}
    return {who: package.queries_from(names, stops=described.jobs.keys() | around) for who, names in starts.items()}


def _routes(package: Package) -> Iterator[tuple[str, str]]:
    """Yield each route and its handler: `@routes.get("/api/tasks")`."""
    tables = {
        name
        for name, one in package.definitions.items()
        for call in _calls(one)
        if one.resolve(call.func) == _ROUTE_TABLE
    }
    for handler, definition, call in _decorators(package):
        match call:
            case ast.Call(func=ast.Attribute(value=table, attr=method), args=[ast.Constant(value=str(path)), *_]):
                if package.find(definition.resolve(table)) in tables:
                    yield f"{method.upper()} {path}", handler


def _commands(package: Package, program: str) -> Iterator[tuple[str, str]]:
    """Yield each command, as one types it, and its function: `@click.command()`, `@clients.command(name="list")`."""
    made: dict[str, tuple[str | None, str]] = {}
    for function, definition, call in _decorators(package):
        match call:
            case ast.Call(func=ast.Attribute(value=maker, attr="command" | "group")):
                group = package.find(definition.resolve(maker))
                if group or definition.resolve(maker) == "click":
                    made[function] = group, _word(function, call)
    main = package.find(f"{package.name}.__main__.main")
    for function in made:
        words = list[str]()
        inner: str | None = function
        ahead = dict(made)
        # Added to the main one are those that no other group made, and that no decorator did: `main = click.Group()`.
        while inner in ahead and inner != main:
            inner, word = ahead.pop(inner)
            words.insert(0, word)
        yield " ".join((program, *words)), function


def _word(function: str, call: ast.Call) -> str:
    """Return what a command is called: as its decorator says, or as click makes it of the function's name."""
    given = [*call.args[:1], *(keyword.value for keyword in call.keywords if keyword.arg == "name")]
    match given:
        case [ast.Constant(value=str(word))]:
            return word
    return function.rpartition(".")[2].lower().replace("_", "-")


def _middlewares(package: Package) -> Iterator[str]:
    """Yield what is around every handler: `web.Application(middlewares=[…])`."""
    for definition in package.definitions.values():
        for call in _calls(definition):
            for keyword in call.keywords:
                if keyword.arg == "middlewares":
                    named = (package.find(definition.resolve(node)) for node in ast.walk(keyword.value))
                    yield from filter(None, named)


def _decorators(package: Package) -> Iterator[tuple[str, Definition, ast.Call]]:
    """Yield each decorator that is a call, with the full name and the definition of what it decorates."""
    for name, definition in package.definitions.items():
        for node in definition.text:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from ((name, definition, one) for one in node.decorator_list if isinstance(one, ast.Call))


def _calls(definition: Definition) -> Iterator[ast.Call]:
    for text in definition.text:
        yield from (node for node in ast.walk(text) if isinstance(node, ast.Call))
