"""The rules by which who runs a query is read in the source, each on a package of a few lines."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from textwrap import dedent

import pytest

from service.sqlcheck.catalogue.callers import Run, queries_of_each
from service.sqlcheck.catalogue.callgraph import ANY
from service.sqlcheck.diagnostics import CheckError
from service.sqlcheck.project import Callers, Project

Read = Callable[..., Run]

PLACED = {"GET /": {"create_order"}}


@pytest.fixture
def read(project: Project, tmp_path: Path) -> Read:
    """Write a package `shop` of these modules, and read what each route, command and job of it runs."""

    def read(modules: Mapping[str, str], jobs: Mapping[str, str] | None = None, without: Sequence[str] = ()) -> Run:
        for name, text in {"sql": "queries = load()", **modules}.items():
            file = tmp_path / "shop" / f"{name}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(dedent(text))
        described = Callers("shop", "shop.sql.queries", "shop", tuple(without), jobs or {})
        return queries_of_each(project.at(tmp_path), described)

    return read


def _web(body: str, before: str = "", imports: str = "") -> dict[str, str]:
    """Write a module with the route GET /."""
    head = f"from aiohttp import web\nfrom shop.sql import queries\n{imports}\nroutes = web.RouteTableDef()"
    route = f"@routes.get('/')\nasync def home(request: web.Request) -> web.Response:\n    {body}"
    return {"web": f"{head}\n{before}\n\n{route}\n"}


@pytest.mark.parametrize(
    ("imports", "call"),
    [
        ("from shop.orders import place", "place()"),
        ("from shop.orders import place as order", "order()"),
        ("from shop import orders", "orders.place()"),
        ("import shop.orders", "shop.orders.place()"),
        ("import shop.orders as o", "o.place()"),
        ("from .orders import place", "place()"),
        ("from . import orders", "orders.place()"),
        ("from shop.again import place", "place()"),
        ("from shop.and_again import place", "place()"),
        ("from shop import again", "again.orders.place()"),
        ("", "from shop.orders import place\n    place()"),
    ],
)
def test_a_function_is_found_however_it_is_imported(read: Read, imports: str, call: str) -> None:
    orders = "from shop.sql import queries\ndef place():\n    queries.create_order(None)"
    again = "from shop import orders\nfrom shop.orders import place"
    others = {"orders": orders, "again": again, "and_again": "from shop.again import place"}
    assert read(_web(call, imports=imports) | others) == PLACED


_ORDERS = "from shop.sql import queries\ndef orders():\n    queries.create_order(None)"


@pytest.mark.parametrize("call", ["from shop import orders", "from shop.orders import orders"])
@pytest.mark.parametrize(
    "modules",
    [
        {"__init__": "from shop.orders import orders", "orders": _ORDERS},
        {"__init__": "from shop.orders import orders", "orders": "from shop._all import orders", "_all": _ORDERS},
        {
            "__init__": "from .orders import orders",
            "orders/__init__": "from .orders import orders",
            "orders/orders": "from .._all import orders",
            "_all": _ORDERS,
        },
    ],
)
def test_a_function_may_have_the_name_of_its_module(read: Read, modules: dict[str, str], call: str) -> None:
    assert read(_web("orders()", imports=call) | modules) == PLACED


@pytest.mark.parametrize(
    "modules",
    [
        {"__init__": "from shop.cache import cache", "cache": "from functools import cache"},
        {"__init__": "from shop.cache import cache", "cache": "from shop import cache"},
        {"__init__": "from shop.a import cache", "a": "from shop.b import cache", "b": "from shop.a import cache"},
    ],
)
def test_a_name_that_leads_to_nothing_of_ours_runs_nothing(read: Read, modules: dict[str, str]) -> None:
    assert read(_web("cache(home)", imports="from shop import cache") | modules) == {"GET /": frozenset()}


_UNREADABLE = {
    "no Python": (b"a = 1\n\ndef {{ name }}():\n", ":3 cannot be read as Python: invalid syntax."),
    "no text": (b"a = 1\n\nb = '\xff'\n", ":3 cannot be read as Python: (unicode error) 'utf-8' codec can't decode"),
    "a NUL": (b"a = 1\0\n", " cannot be read as Python: source code string cannot contain null bytes."),
    "a script for Python 2": (b"print 'a'", ":1 cannot be read as Python: Missing parentheses in call to 'print'."),
    "an encoding that nobody knows": (b"# coding: klingon\n", " cannot be read as Python: unknown encoding: klingon."),
    "what is too deep": (b"-" * 100_000 + b"1", " cannot be read as Python: "),
    "an import that goes too far": (
        b"a = 1\nfrom ... import a\n",
        ":2 cannot be imported: attempted relative import beyond top-level package.",
    ),
}


@pytest.mark.parametrize("title", _UNREADABLE)
def test_a_file_that_cannot_be_read_is_told_in_one_line(read: Read, tmp_path: Path, title: str) -> None:
    text, told = _UNREADABLE[title]
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "template.py").write_bytes(text)
    with pytest.raises(CheckError) as refused:
        read({})
    assert str(refused.value).startswith(f"{tmp_path}/shop/template.py{told}")
    assert "\n" not in str(refused.value)


def test_a_file_that_is_none_is_told_in_one_line(read: Read, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "gone.py").symlink_to("nowhere")
    with pytest.raises(CheckError) as refused:
        read({})
    assert str(refused.value) == f"{tmp_path}/shop/gone.py cannot be read: No such file or directory."


@pytest.mark.parametrize(
    ("before", "body"),
    [
        ("", "await queries.create_order(request)"),
        ("", "await request.ask(lambda: queries.create_order())"),
        ("def place():\n    return queries.create_order", "place()"),
        ("def place():\n    return queries.create_order", "request.loop.run(place)"),
        ("def place():\n    def inner():\n        queries.create_order()\n    return inner", "place()"),
        ("def place(how=queries.create_order):\n    how()", "place()"),
        ("place = queries.create_order", "place()"),
        ("place: Callable = queries.create_order", "place()"),
        ("place, other = queries.create_order, 1", "place()"),
        ("HOW = {'place': (queries.create_order, 1)}", "HOW['place'][0]()"),
        ("HOW = {}\nHOW['place'] = queries.create_order", "HOW['place']()"),
        ("HOW = {}\nHOW |= {'place': queries.create_order}", "HOW['place']()"),
        ("try:\n    import fast\nexcept ImportError:\n    def place():\n        queries.create_order()", "place()"),
    ],
)
def test_what_a_text_names_it_may_run(read: Read, before: str, body: str) -> None:
    assert read(_web(body, before)) == PLACED


@pytest.mark.parametrize("body", ["getattr(queries, request.query['name'])()", "for query in queries: query()"])
def test_the_queries_by_themselves_may_be_any_of_them(read: Read, body: str) -> None:
    assert read(_web(body)) == {"GET /": {ANY}}


_ORDERS = """
class Orders:
    async def place(self):
        await queries.create_order()

    async def end(self):
        await queries.delete_order()
"""
_SHOP = """
class Shop:
    def __init__(self, orders: Orders):
        self._orders = orders

    async def sell(self):
        await self._orders.place()
"""


@pytest.mark.parametrize(
    ("more", "body"),
    [
        ("", "Orders().place()"),
        ("ORDERS = web.AppKey('orders', Orders)", "await request.app[ORDERS].place()"),
        ("async def place(orders: Orders):\n    await orders.place()", "await place(request.orders)"),
        ("def orders() -> Orders: ...", "orders().place()"),
        (_SHOP, "await Shop(request.orders).sell()"),
        (_SHOP, "await Shop.sell(request.shop)"),
        ("class FewOrders(Orders):\n    pass", "FewOrders().place()"),
        ("class Placing(Protocol):\n    def place(self): ...", "request[Placing].place()"),
        ("class Placing(Protocol[T]):\n    def place(self): ...", "request[Placing].place()"),
        ("class Both(Protocol):\n    def place(self): ...\n    def end(self): ...", "request[Both].place()"),
        ("class Plain:\n    def place(self): ...\nclass Placing(Plain):\n    how = Orders", "Placing().place()"),
    ],
)
def test_a_method_is_one_of_a_class_that_the_same_way_leads_to(read: Read, more: str, body: str) -> None:
    assert read(_web(body, _ORDERS + more, "from typing import Protocol")) == PLACED


def test_a_method_may_be_that_of_a_class_which_inherits(read: Read) -> None:
    before = "class Plain:\n    def place(self): ...\nclass Orders(Plain):\n    def place(self): queries.create_order()"
    assert read(_web("place(request)", f"{before}\ndef place(plain: Plain):\n    plain.place()")) == PLACED


def test_a_class_that_nothing_leads_to_runs_nothing(read: Read) -> None:
    assert read(_web("re.match('a', 'b').end()", _ORDERS, "import re")) == {"GET /": frozenset()}
    assert read(_web("request.end()", f"{_ORDERS}\ndef unused(orders: Orders): ...")) == {"GET /": frozenset()}


@pytest.mark.parametrize(
    ("members", "body"),
    [
        ("def __init__(self): queries.create_order()", "Order()"),
        ("async def __aenter__(self): queries.create_order()", "async with Order(): ..."),
        ("def __contains__(self, one): queries.create_order()", "1 in Order.all"),
        ("how = queries.create_order", "Order.how()"),
        ("def __init__(self): self._how = queries.create_order", "Order()._how()"),
        ("@property\n    def one(self): return queries.create_order", "Order().one()"),
        ("@classmethod\n    def of(cls): cls()\n    def __init__(self): queries.create_order()", "Order.of()"),
    ],
)
def test_what_python_calls_by_itself_comes_with_the_class(read: Read, members: str, body: str) -> None:
    assert read(_web(body, f"class Order:\n    {members}")) == PLACED


def test_what_a_base_may_call_comes_with_the_class(read: Read) -> None:
    before = "class Order(Schema):\n    def _load(self): queries.create_order()"
    assert read(_web("Order().load()", before, "from marshmallow import Schema")) == PLACED


def test_decorators_and_middlewares_are_around_their_routes(read: Read) -> None:
    run = read(
        {
            "web": """
                from aiohttp import web
                from shop import sql
                from shop.app import once

                routes = web.RouteTableDef()

                @routes.post("/alias/{id}")
                @routes.post("/orders/{id}", name="order")
                @once
                async def place(request): ...

                @routes.delete("/orders/{id}")
                async def drop(request):
                    await sql.queries.delete_order()

                cache = Cache()

                @cache.get("/orders")
                def no_route(): ...
            """,
            "app": """
                from functools import wraps
                from aiohttp import web
                from shop.sql import queries as named

                def once(handler):
                    @wraps(handler)
                    async def run(request):
                        await named.create_key()
                    return run

                async def authenticate(request, handler):
                    await named.get_token()

                def create_app():
                    named.get_version()
                    return web.Application(middlewares=[authenticate], client_max_size=1)
            """,
            "cli": """
                import click
                from shop.app import create_app

                @click.command()
                def serve():
                    create_app().run()
            """,
        }
    )
    assert run == {
        "shop serve": {"get_version"},
        "POST /alias/{id}": {"create_key", "get_token"},
        "POST /orders/{id}": {"create_key", "get_token"},
        "DELETE /orders/{id}": {"delete_order", "get_token"},
    }


def test_a_command_is_told_of_as_one_types_it(read: Read) -> None:
    run = read(
        {
            "__main__": "from shop.cli import main\nmain()",
            "cli/__init__": """
                import click
                from shop.cli import orders
                from shop.sql import queries

                @click.group()
                def main(): ...

                for one in (orders.orders, orders.tidy_up):
                    main.add_command(one)

                @main.command()
                def count():
                    queries.count_orders()
            """,
            "cli/orders": """
                import click
                from shop.cli.common import ask
                from shop.sql import queries

                @click.group()
                def orders(): ...

                @orders.command(name="list")
                @click.option("--json")
                def list_orders():
                    ask(queries.list_orders)

                @orders.group("old")
                def old_orders(): ...

                @old_orders.command()
                def drop():
                    ask(queries.delete_orders)

                @click.command()
                def tidy_up():
                    ask(lambda database: queries.purge_orders(database))

                @elsewhere.command()
                def no_command():
                    ask(queries.get_order)
            """,
        }
    )
    assert run == {
        "shop": frozenset(),
        "shop count": {"count_orders"},
        "shop orders": frozenset(),
        "shop orders list": {"list_orders"},
        "shop orders old": frozenset(),
        "shop orders old drop": {"delete_orders"},
        "shop tidy-up": {"purge_orders"},
    }


@pytest.mark.parametrize(
    "group",
    [
        "orders = click.Group('orders')",
        "@click.group()\ndef orders(): ...\n@orders.group()\ndef orders(): ...",
    ],
)
def test_a_command_is_told_of_whatever_its_group_is(read: Read, group: str) -> None:
    command = "@orders.command()\ndef drop():\n    queries.delete_orders()"
    run = read({"cli": f"import click\nfrom shop.sql import queries\n{group}\n{command}"})
    (told,) = [who for who, queries in run.items() if queries]
    assert told.startswith("shop ")
    assert told.endswith("drop")


_JOB = {
    "jobs": """
        import click
        from shop.sql import queries

        async def again_and_again():
            while True:
                await tidy()

        async def tidy():
            await queries.purge_orders()

        @click.command()
        def serve():
            queries.get_version()
            create_task(again_and_again())
    """
}


def test_what_starts_a_job_does_not_run_its_queries(read: Read) -> None:
    assert read(_JOB, {"shop.jobs.again_and_again": "every hour"}) == {
        "every hour": {"purge_orders"},
        "shop serve": {"get_version"},
    }


def test_a_job_that_nobody_has_named_counts_as_what_starts_it(read: Read) -> None:
    assert read(_JOB) == {"shop serve": {"get_version", "purge_orders"}}


def test_what_is_left_out_runs_nothing(read: Read) -> None:
    check = "from shop.sql import queries\ndef run():\n    queries.create_order()"
    checks = {"checks/__init__": check, "checks/all": check, "checks_too/all": check}

    def read_without(imports: str) -> Run:
        return read(_web("run()", imports=imports) | checks, without=["shop.checks"])

    assert read_without("from shop.checks import run") == {"GET /": frozenset()}
    assert read_without("from shop.checks.all import run") == {"GET /": frozenset()}
    assert read_without("from shop.checks_too.all import run") == PLACED
