"""The catalogue says all that there is to say, the same wherever it is made, and nothing in it is taken as markup."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.sqlcheck.catalogue.callers import callers
from service.sqlcheck.catalogue.diagrams import Box, Diagram, Line, draw
from service.sqlcheck.catalogue.documents import make, write
from service.sqlcheck.catalogue.gathering import gather
from service.sqlcheck.catalogue.highlighting import pieces
from service.sqlcheck.catalogue.model import Catalogue, ColumnEntry, ForeignKey, QueryEntry, TableEntry
from service.sqlcheck.catalogue.steps import named, read_plan
from service.sqlcheck.diagnostics import CheckError
from service.sqlcheck.project import Project
from service.sqlcheck.reading.schema import read_schema
from service.sqlcheck.subject import Subject
from service.sqlcheck.trial.execution import rolled_back
from tests.sharing import on_one_postgresql
from tests.sqlcheck.conftest import Plant

pytestmark = on_one_postgresql

_VOID = {"br", "input", "meta"}
# What HTML closes by itself.
_CLOSED = {"td", "th", "thead", "tr"}

Point = tuple[float, float]


class Page(HTMLParser):
    """The page as a browser reads it: its elements, its ids, where its links lead, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: Counter[str] = Counter()
        self.ids: Counter[str] = Counter()
        self.links: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        self.attributes |= {name for name, _ in attrs}
        given = dict(attrs)
        if "id" in given:
            self.ids[str(given["id"])] += 1
        if "href" in given:
            self.links.add(str(given["href"]))
        if tag not in _VOID | _CLOSED:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in _CLOSED:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" not in self.open and "style" not in self.open:
            self.text += data


@st.composite
def _schemas(draw_one: st.DrawFn) -> list[TableEntry]:
    """Tables that refer to each other, and to themselves, in any way."""
    names = [f"table_{number}" for number in range(draw_one(st.integers(1, 8)))]
    columns = {name: [f"column_{number}" for number in range(draw_one(st.integers(1, 4)))] for name in names}
    tables = []
    for name in names:
        keys = []
        for number in range(draw_one(st.integers(0, 3))):
            own = draw_one(st.lists(st.sampled_from(columns[name]), min_size=1, max_size=3, unique=True))
            target = draw_one(st.sampled_from(names))
            theirs = [draw_one(st.sampled_from(columns[target])) for _ in own]
            keys.append(
                ForeignKey(
                    f"key_{number}",
                    tuple(own),
                    target,
                    tuple(theirs),
                    "SET DEFAULT",
                    support="",
                    comment="",
                    is_nullable=False,
                    is_unique=False,
                )
            )
        rows = tuple(ColumnEntry(column, "uuid", False, "", "", ()) for column in columns[name])  # noqa: FBT003 -- a column
        tables.append(TableEntry(name, "", "", rows, (), tuple(keys), (), (), "", {}))
    return tables


@pytest.fixture(scope="module")
def catalogue(subject: Subject) -> Catalogue:
    """The catalogue of the example."""
    return gather(subject)


@pytest.fixture(scope="module")
def contents(catalogue: Catalogue) -> dict[str, str]:
    """The files of the example's catalogue, as they should be."""
    return write(catalogue)


@pytest.fixture(scope="module")
def page(contents: dict[str, str]) -> Page:
    """The page of the example's catalogue."""
    return Page(contents["queries.html"])


@pytest.fixture
def changed(subject: Subject) -> Iterator[Subject]:
    """The example, for a test that changes its schema."""
    with rolled_back(subject.connection):
        yield subject


def test_it_says_the_same_wherever_it_is_made(subject: Subject, copy: Project) -> None:
    for file in copy.sql.glob("*.sql"):
        if file.name != "topics.sql":
            file.unlink()
    few = [statement for statement in subject.statements if statement.file == "sql/topics.sql"]
    assert make(copy) == write(gather(replace(subject, statements=few)))


def test_it_names_nothing_that_is_of_another_project(contents: dict[str, str]) -> None:
    for text in contents.values():
        told = re.sub(r"<style>.*?</style>|<script>.*?</script>", "", text, flags=re.DOTALL)
        assert not set(re.findall(r"\w+", told.lower())) & {"task", "tasks", "user", "users", "service", "yoyo"}
        assert "notes_app" in told


def test_every_query_table_index_constraint_trigger_and_caller_has_its_place(
    subject: Subject, page: Page, contents: dict[str, str]
) -> None:
    tables = [table for table in subject.schema.tables.values() if table.is_ours]
    places = {f"query-{one.name}" for one in subject.statements} | {f"table-{table.name}" for table in tables}
    for table in tables:
        places |= {f"index-{name}" for name in table.indexes}
        places |= {f"constraint-{name}" for name in table.constraints}
        places |= {f"trigger-{name}" for name in table.triggers}
    assert places <= page.ids.keys()
    assert [name for name, count in page.ids.items() if count > 1] == []
    run_by = callers(subject.project, [one.name for one in subject.statements]).values()
    told = {who for each in run_by for who in each}
    assert told
    for name in told | {place.partition("-")[2] for place in places}:
        assert name in page.text
        assert name in contents["queries.md"]
    print(f"{len(places)} places and {len(told)} callers")  # noqa: T201 -- the figure


def test_every_link_leads_somewhere(page: Page, contents: dict[str, str]) -> None:
    assert {link.removeprefix("#") for link in page.links} <= page.ids.keys()
    markdown = contents["queries.md"]
    headings = [re.sub(r"[^\w\- ]", "", text.lower()) for text in re.findall(r"^#+ (.+)$", markdown, re.MULTILINE)]
    anchors = {text.replace(" ", "-") for text in headings}
    assert len(anchors) == len(headings)
    assert set(re.findall(r"\]\(#([^)]+)\)", markdown)) <= anchors


def test_a_query_shows_its_sql_its_plan_its_grants_and_what_runs_it(catalogue: Catalogue) -> None:
    query = _query(catalogue, "update_note")
    assert (query.file, query.rows) == ("sql/notes.sql", "one row or none")
    assert query.sql.startswith("UPDATE notes\nSET\n    title = coalesce(:title, title),")
    assert query.limits == ("member_id = :member_id",)
    assert [(one.name, one.type, one.is_nullable, one.source) for one in query.parameters][:3] == [
        ("member_id", "uuid", False, "NoteAtVersions.member_id"),
        ("id", "uuid", False, "NoteAtVersions.id"),
        ("versions", "bigint[]", True, "NoteAtVersions.versions"),
    ]
    assert [(one.name, one.type, one.is_nullable, one.origin) for one in query.outputs][2:4] == [
        ("title", "varchar(200)", False, "notes.title"),
        ("body", "varchar(2000)", True, "notes.body"),
    ]
    assert all(one.about for one in query.parameters)
    assert all(one.about for one in query.outputs)
    write_step, read_step = query.plan.walk()
    assert (write_step.kind, write_step.table) == ("Update", "notes")
    assert (read_step.kind, read_step.index) == ("Index Scan", "notes_pkey")
    assert read_step.details["Index Cond"] == "(member_id = :member_id) AND (id = :id)"
    assert [(str(grant), grant.trigger) for grant in query.grants] == [
        ("SELECT, UPDATE (title, body, topic) ON notes", ""),
        ("SELECT ON topics", "notes_set_updated_at of notes"),
    ]
    assert query.callers == ()
    assert _query(catalogue, "delete_note").callers == ("DELETE /notes/{id}",)


def test_a_table_says_whose_its_rows_are(contents: dict[str, str]) -> None:
    markdown, page = contents["queries.md"], Page(contents["queries.html"])
    assert "Each row is an owner, told by `id`." in markdown
    assert markdown.count("Each row belongs to one of [members](#members), by `member_id`.") == 2
    assert page.text.count("each row is an owner: id") == 1
    assert page.text.count("each row has an owner: member_id") == 2


def test_a_setting_that_feeds_a_parameter_is_told_by_its_name(catalogue: Catalogue) -> None:
    (ttl,) = (one for one in _query(catalogue, "create_revision").parameters if one.name == "ttl")
    assert (ttl.source, ttl.about, ttl.is_nullable) == ("Settings.revision_ttl", "The setting REVISION_TTL.", False)


def test_what_is_deleted_along_with_a_row_is_told_of(catalogue: Catalogue) -> None:
    uses = {(use.table, use.trigger): use.verbs for use in _query(catalogue, "delete_member").uses}
    assert uses == {
        ("members", ""): ("deletes",),
        ("removals", "notes_note_removal of notes"): ("adds",),
        ("notes", "notes_member_id_fkey"): ("deletes",),
        ("revisions", "revisions_member_id_note_id_fkey"): ("deletes",),
    }
    assert ("delete_member", "notes_member_id_fkey") in _table(catalogue, "notes").used_by["deletes"]


def test_locks_and_a_change_on_conflict_are_uses_of_a_table(subject: Subject, plant: Plant) -> None:
    statements = [
        *(one for one in subject.statements if one.name == "lock_member"),
        *plant("""
-- name: create_topic(topic)^
-- One more.
-- Takes: topic from Note.
-- Returns: Topic, exactly one row.
INSERT INTO topics (topic, is_closed, position)
VALUES (:topic, false, 10)
ON CONFLICT (topic) DO UPDATE SET position = 20
RETURNING topic, is_closed, position;
"""),
    ]
    found = gather(replace(subject, statements=statements), {})
    assert {query.name: query.uses[0].verbs for query in found.queries} == {
        "lock_member": ("reads", "locks"),
        "create_topic": ("adds", "changes"),
    }
    needs = {need.name: need.reasons for table in found.tables for index in table.indexes for need in index.needs}
    assert needs["create_topic"][0] == "its ON CONFLICT"


def test_an_index_says_what_it_is_needed_for(catalogue: Catalogue) -> None:
    indexes = {index.name: index for table in catalogue.tables for index in table.indexes}
    assert all(index.needs for index in indexes.values())
    needs = {need.name: need.reasons for need in indexes["notes_pkey"].needs}
    assert needs["get_note"] == ("its plan", "a proof about its rows")
    assert needs["revisions_member_id_note_id_fkey"] == ("what it refers to",)
    assert ("a trigger that it fires",) in {need.reasons for need in indexes["removals_pkey"].needs}


def test_an_index_is_needed_by_the_foreign_key_that_it_supports(changed: Subject) -> None:
    changed.connection.execute("CREATE TABLE labels (topic text CONSTRAINT labels_topic_fkey REFERENCES topics)")
    changed.connection.execute("CREATE INDEX labels_topic_idx ON labels (topic)")
    schema = read_schema(changed.project, changed.connection)
    labels = _table(gather(replace(changed, statements=(), schema=schema), {}), "labels")
    (index,) = labels.indexes
    assert [(need.name, need.reasons) for need in index.needs] == [
        ("labels_topic_fkey", ("finds the rows that refer to one",))
    ]
    (key,) = labels.foreign_keys
    assert (key.support, key.on_delete) == ("labels_topic_idx", "NO ACTION")
    assert (key.is_nullable, key.is_unique) == (True, False)


def test_an_index_of_another_kind_supports_no_foreign_key(changed: Subject) -> None:
    changed.connection.execute("CREATE INDEX notes_topic_idx ON notes USING hash (topic)")
    changed.connection.execute("CREATE INDEX notes_topic_new_idx ON notes USING brin (topic)")
    schema = read_schema(changed.project, changed.connection)
    found = gather(replace(changed, schema=schema, statements=()), {})
    supports = {key.name: key.support for key in _table(found, "notes").foreign_keys}
    assert supports == {"notes_member_id_fkey": "notes_member_id_created_at_id_idx", "notes_topic_fkey": ""}


def test_an_index_that_is_read_and_not_needed_says_so_too(changed: Subject) -> None:
    [get_member] = (statement for statement in changed.statements if statement.name == "get_member")
    unpromised = {name: label for name, label in get_member.labels.items() if name != "Plan"}
    changed.connection.execute("CREATE UNIQUE INDEX members_id_too ON members (id)")
    changed.connection.execute("CREATE INDEX members_odd ON members (email) WHERE email LIKE 'o%'")
    schema = read_schema(changed.project, changed.connection)
    found = gather(replace(changed, statements=[replace(get_member, labels=unpromised)], schema=schema), {})
    indexes = {index.name: index for index in _table(found, "members").indexes}
    [planned] = {step.index for step in found.queries[0].plan.walk()}
    assert [name for name, index in indexes.items() if index.read_by == ("get_member",)] == [planned]
    assert (indexes["members_odd"].needs, indexes["members_odd"].read_by) == ((), ())
    contents = write(found)
    assert "reads it, but does not depend on it" in contents["queries.md"]
    assert "reads it, but does not depend on it" in contents["queries.html"]
    assert (
        "| `members_odd` | `btree (email)` where `((email)::text ~~ 'o%'::text)` | **nothing** |"
        in contents["queries.md"]
    )


def test_a_query_that_nothing_runs_is_named(subject: Subject) -> None:
    one, other = subject.statements[:2]
    found = gather(replace(subject, statements=[one, other]), {one.name: ["GET /there"]})
    assert [query.name for query in found.unused] == [other.name]
    contents = write(found)
    assert f"## Queries that nothing runs\n\n- [{other.name}](" in contents["queries.md"]
    assert "**unused**" in contents["queries.md"]
    assert Page(contents["queries.html"]).text.count("unused") == 3  # at the query, as a figure and in the contents


def test_a_catalogue_of_nothing_says_none(subject: Subject) -> None:
    found = replace(gather(replace(subject, statements=()), {}), tables=(), others=())
    for text in write(found).values():
        assert text.count("None.") == 4


def test_nothing_that_people_have_written_is_taken_as_markup(changed: Subject) -> None:
    evil = "<script>alert(1)</script> & <img src=x onerror=alert(2)> | [x](javascript:alert(3)) *so* `a|b <i>`"
    statement = replace(changed.statements[0], about=evil)
    for what in ("TABLE notes", "COLUMN notes.id", "CONSTRAINT notes_topic_fkey ON notes"):
        changed.connection.execute(f"COMMENT ON {what} IS '{evil}'")
    schema = read_schema(changed.project, changed.connection)
    subject = replace(changed, statements=[statement], schema=schema)
    contents = write(gather(subject, {statement.name: ["GET /<script>"]}))
    page = Page(contents["queries.html"])
    assert page.elements["script"] == page.elements["style"] == 1
    assert page.elements["img"] == page.elements["i"] == 0
    assert not {name for name in page.attributes if name.startswith("on") or name == "style"}
    assert page.text.count(evil.replace("`", "")) == 4
    assert "GET /<script>" in page.text
    markdown = contents["queries.md"]
    escaped = r"\<script\>alert(1)\</script\> \& \<img src=x onerror=alert(2)\> \| \[x\](javascript:alert(3)) \*so\* "
    assert markdown.count(escaped + r"`a\|b <i>`") == 4
    assert "`GET /<script>`" in markdown


def test_a_fence_in_a_statement_and_a_backtick_in_code_do_not_end_it(catalogue: Catalogue) -> None:
    query = replace(catalogue.queries[0], sql="SELECT '```'", callers=("a `b`",))
    markdown = write(replace(catalogue, queries=(query,)))["queries.md"]
    assert "````sql\nSELECT '```'\n````" in markdown
    assert "- **Run by:** `` a `b` ``" in markdown


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "-- name: get_it()^\n-- It.\n-- Returns: Member, no row when none.\nSELECT nothing FROM members;\n",
            'sql/planted.sql:1 get_it: PostgreSQL does not prepare it: column "nothing" does not exist.',
        ),
        (
            "-- name: get_it()^\n-- It.\n-- Returns: Nobody, no row when none.\nSELECT 1 AS one;\n",
            "sql/planted.sql:1 get_it: Cannot be described: Returns Nobody, but the registry has no such schema",
        ),
    ],
)
def test_a_statement_that_breaks_the_rules_is_refused_with_its_line(
    subject: Subject, plant: Plant, text: str, told: str
) -> None:
    with pytest.raises(CheckError) as refused:
        gather(replace(subject, statements=plant(text)), {})
    assert str(refused.value).startswith(told)


def test_what_feeds_no_parameter_is_left_open(subject: Subject, plant: Plant) -> None:
    statements = plant(
        "-- name: count_members(least)$\n-- Them.\n-- Returns: integer, how many.\n"
        "SELECT count(*) FROM members WHERE length(email) > :least;\n"
    )
    [query] = gather(replace(subject, statements=statements), {}).queries
    assert [(one.name, one.source, one.is_nullable) for one in query.parameters] == [("least", "", True)]
    assert [(one.name, one.type, one.is_nullable, one.about) for one in query.outputs] == [
        ("count", "bigint", False, "How many.")
    ]
    assert (query.rows, query.limits, query.functions) == ("one value", (), ("count", "length"))


@pytest.mark.parametrize(
    ("value", "type_", "origin"),
    [
        ("title", "varchar(200)", "notes.title"),
        ("ARRAY[title]", "varchar(200)[]", ""),
        ("ARRAY[version]", "bigint[]", ""),
        ("created_at", "timestamptz", "notes.created_at"),
        ("created_at::timestamp", "timestamp", ""),
        ("1.5::double precision", "float8", ""),
        ("'a'::\"char\"", '"char"', ""),
        ("1::numeric(5, 2)", "numeric(5,2)", ""),
        ("'\\x00'::bytea", "bytea", ""),
    ],
)
def test_a_type_is_written_as_people_write_it(
    subject: Subject, plant: Plant, value: str, type_: str, origin: str
) -> None:
    statements = plant(f"-- name: get_it()$\n-- It.\n-- Returns: text, it.\nSELECT {value} AS it FROM notes;\n")
    [query] = gather(replace(subject, statements=statements), {}).queries
    assert [(one.type, one.origin) for one in query.outputs] == [(type_, origin)]


def test_statements_in_pieces_are_the_statements(catalogue: Catalogue) -> None:
    tables = {table.name for table in catalogue.tables}
    for query in catalogue.queries:
        assert "".join(piece.text for piece in pieces(query.sql, tables)) == query.sql


def test_each_piece_is_what_postgresqls_scanner_says() -> None:
    sql = (
        "SELECT count(*), 'é:no', 1.5\nFROM notes -- here\nWHERE x.notes = :notes::bigint[] /* and */ AND position > 1;"
    )
    found = [(piece.text, piece.kind) for piece in pieces(sql, {"notes"}) if piece.kind]
    assert found == [
        ("SELECT", "keyword"),
        ("count", "function"),
        ("'é:no'", "string"),
        ("1.5", "number"),
        ("FROM", "keyword"),
        ("notes", "table"),
        ("-- here", "comment"),
        ("WHERE", "keyword"),
        (":notes", "parameter"),
        ("/* and */", "comment"),
        ("AND", "keyword"),
        ("1", "number"),
    ]


@pytest.mark.parametrize(
    ("node", "kind"),
    [
        ({"Node Type": "ModifyTable", "Operation": "Delete"}, "Delete"),
        ({"Node Type": "Index Scan", "Scan Direction": "Backward"}, "Index Scan Backward"),
        ({"Node Type": "Index Scan", "Scan Direction": "Forward"}, "Index Scan"),
        ({"Node Type": "Aggregate", "Strategy": "Sorted"}, "GroupAggregate"),
        ({"Node Type": "Aggregate", "Strategy": "Plain"}, "Aggregate"),
        ({"Node Type": "Hash Join", "Join Type": "Inner"}, "Hash Join"),
        ({"Node Type": "Hash Join", "Join Type": "Left"}, "Hash Left Join"),
        ({"Node Type": "Nested Loop", "Join Type": "Anti"}, "Nested Loop Anti Join"),
    ],
)
def test_a_step_is_called_what_explain_calls_it(node: dict[str, str], kind: str) -> None:
    assert read_plan(node, ()).kind == kind


def test_a_step_shows_its_conditions_by_the_names_of_the_parameters() -> None:
    node = {
        "Node Type": "Seq Scan",
        "Relation Name": "notes",
        "Alias": "t",
        "Subplan Name": "CTE found",
        "Filter": "((a = $1) OR (b = $2))",
        "Sort Key": ["(a)", "b DESC"],
        "Disabled": False,
        "Parent Relationship": "InitPlan",
    }
    step = read_plan(node, ("first", "second"))
    assert (step.role, step.table, step.alias) == ("CTE found", "notes", "t")
    assert step.details == {"Filter": "(a = :first) OR (b = :second)", "Sort Key": "a, b DESC"}
    assert read_plan({"Node Type": "Result", "Filter": "(a) OR (b)"}, ()).details == {"Filter": "(a) OR (b)"}
    assert read_plan({"Node Type": "Result", "Filter": "f('(')"}, ()).details == {"Filter": "f('(')"}
    assert named("$1 and $3", ("first",)) == ":first and $3"


def test_the_diagram_of_the_example_can_be_read(catalogue: Catalogue) -> None:
    found = draw(catalogue.tables)
    assert len(found.boxes) == len(catalogue.tables)
    assert len(found.lines) == sum(len(table.foreign_keys) for table in catalogue.tables)
    _assert_readable(found)


@given(_schemas())
@settings(max_examples=50, database=None, derandomize=True, deadline=None)
def test_the_diagram_of_any_schema_can_be_read(tables: list[TableEntry]) -> None:
    found = draw(tables)
    assert len(found.boxes) == len(tables)
    _assert_readable(found)
    drawn = {(line.table, line.key.name) for line in found.lines}
    told = {(box.table.name, row.column.name, row.goes_to) for box in found.boxes for row in box.rows}
    for table in tables:
        for key in table.foreign_keys:
            columns = {(table.name, column) for column in key.columns}
            assert (table.name, key.name) in drawn or columns & {(name, column) for name, column, to in told if to}


def test_a_line_leads_from_the_column_that_refers_to_the_one_that_is_referred_to(diagram: Diagram) -> None:
    boxes = {box.table.name: box for box in diagram.boxes}
    lines = {line.key.name: line for line in diagram.lines}
    line = lines["d_c_fkey"]
    assert line.points[0] == (boxes["d"].x, boxes["d"].middle("c"))
    x, y = line.points[-1]
    assert x == boxes["c"].x + boxes["c"].width
    assert abs(y - boxes["c"].middle("id")) < 11
    # It passes the layers of c and b on its way to a.
    assert len(lines["d_a_fkey"].points) == 12


def test_a_reference_that_closes_a_circle_is_told_in_its_row(diagram: Diagram) -> None:
    boxes = {box.table.name: box for box in diagram.boxes}
    drawn = {line.key.name for line in diagram.lines}
    told = {(name, row.column.name): row.goes_to for name, box in boxes.items() for row in box.rows if row.goes_to}
    assert told == {("loop", "parent"): "loop", ("other", "loop"): "loop"}
    assert "loop_other_fkey" in drawn
    assert drawn.isdisjoint({"loop_parent_fkey", "other_loop_fkey"})


@pytest.fixture
def diagram(changed: Subject) -> Diagram:
    """A diagram of the example's tables and of some that refer to each other in ways that those do not."""
    changed.connection.execute(
        """
        CREATE TABLE a (id integer PRIMARY KEY);
        CREATE TABLE b (id integer PRIMARY KEY, a integer REFERENCES a);
        CREATE TABLE c (id integer PRIMARY KEY, b integer UNIQUE REFERENCES b ON DELETE SET NULL);
        CREATE TABLE d (
            a integer CONSTRAINT d_a_fkey REFERENCES a,
            b integer CONSTRAINT d_b_fkey REFERENCES b,
            c integer CONSTRAINT d_c_fkey REFERENCES c,
            a_table_with_a_name_that_is_longer_than_any_other integer REFERENCES a
        );
        CREATE TABLE loop (id integer PRIMARY KEY, parent integer REFERENCES loop, other integer);
        CREATE TABLE other (id integer PRIMARY KEY, loop integer CONSTRAINT other_loop_fkey REFERENCES loop);
        ALTER TABLE loop ADD CONSTRAINT loop_other_fkey FOREIGN KEY (other) REFERENCES other;
        """
    )
    schema = read_schema(changed.project, changed.connection)
    return draw(gather(replace(changed, statements=(), schema=schema), {}).tables)


def _query(catalogue: Catalogue, name: str) -> QueryEntry:
    return next(query for query in catalogue.queries if query.name == name)


def _table(catalogue: Catalogue, name: str) -> TableEntry:
    return next(table for table in catalogue.tables if table.name == name)


def _assert_readable(diagram: Diagram) -> None:
    """Hold that nothing covers anything: no box another, and no line a box or a line to elsewhere."""
    for one, other in combinations(diagram.boxes, 2):
        assert not _overlap(one, other), (one.table.name, other.table.name)
    for line in diagram.lines:
        for start, end in pairwise(line.points):
            assert start[0] == end[0] or start[1] == end[1]
            assert not [box.table.name for box in diagram.boxes if _crosses(start, end, box)], line.key.name
    for line, second in combinations(diagram.lines, 2):
        if line.points[-1] != second.points[-1]:
            assert not _run_along(line, second), (line.key.name, second.key.name)
    for box in diagram.boxes:
        assert box.x >= 0
        assert box.y >= 0
        assert box.x + box.width <= diagram.width
        assert box.y + box.height <= diagram.height


def _overlap(one: Box, other: Box) -> bool:
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


def _crosses(start: Point, end: Point, box: Box) -> bool:
    """Tell whether a part of a line is inside a box; it may end on its edge."""
    left, right = sorted((start[0], end[0]))
    top, bottom = sorted((start[1], end[1]))
    return left < box.x + box.width and right > box.x and top < box.y + box.height and bottom > box.y


def _run_along(one: Line, other: Line) -> bool:
    """Tell whether two lines have more than a point in common."""
    for start, end in pairwise(one.points):
        for second_start, second_end in pairwise(other.points):
            for along, across in ((0, 1), (1, 0)):
                if start[across] == end[across] == second_start[across] == second_end[across]:
                    left, right = sorted((start[along], end[along]))
                    second_left, second_right = sorted((second_start[along], second_end[along]))
                    if min(right, second_right) > max(left, second_left):
                        return True
    return False
