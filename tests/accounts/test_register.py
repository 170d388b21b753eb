"""Registering: one account for one address, however it is written, and no hash in any answer."""

import asyncio
import unicodedata

import asyncpg
from hypothesis import example, given
from hypothesis import strategies as st

from service.accounts.emails import canonical_email
from tests.conftest import PASSWORD, Answer, Api
from tests.sharing import on_each_postgresql, on_one_postgresql

pytestmark = on_one_postgresql


async def _register(api: Api, email: object, password: object = PASSWORD) -> Answer:
    return await api.post("/api/auth/register", {"email": email, "password": password})


def _pointers(answer: Answer) -> list[str]:
    assert (answer.status, answer.code) == (422, "validation_error"), answer.text
    return [fault["pointer"] for fault in answer.body["errors"]]


async def test_who_registers_is_a_user(anybody: Api, connection: asyncpg.Connection) -> None:
    answer = await _register(anybody, "alice@example.com")
    assert answer.status == 201
    assert answer.headers["Location"] == "/api/users/me"
    assert answer.body.keys() == {"id", "email", "created_at", "updated_at"}
    assert answer.body["email"] == "alice@example.com"
    assert answer.body["created_at"] == answer.body["updated_at"]
    assert answer.body["created_at"].endswith("Z")
    stored = await connection.fetchrow("SELECT * FROM users")
    assert stored is not None
    assert str(stored["id"]) == answer.body["id"]
    assert stored["password_hash"].startswith("$2b$04$")


async def test_the_same_password_is_never_hashed_twice_to_the_same(
    anybody: Api, connection: asyncpg.Connection
) -> None:
    for name in ("alice", "bob"):
        assert (await _register(anybody, f"{name}@example.com")).status == 201
    assert await connection.fetchval("SELECT count(DISTINCT password_hash) FROM users") == 2


async def test_no_answer_holds_a_hash(anybody: Api, connection: asyncpg.Connection) -> None:
    user = await anybody.new_user("alice@example.com")
    password_hash = await connection.fetchval("SELECT password_hash FROM users")
    login = {"email": "alice@example.com", "password": PASSWORD}
    answers = [
        await anybody.post("/api/auth/register", login),
        await anybody.post("/api/auth/login", login),
        await anybody.post("/api/auth/login", {**login, "password": "wrong password"}),
        await user.get("/api/users/me"),
        await user.post("/api/tasks", {"title": "t"}),
    ]
    assert [answer.status for answer in answers] == [409, 200, 401, 200, 201]
    for answer in answers:
        assert password_hash not in answer.text
        assert "$2b$" not in answer.text
        assert "password_hash" not in answer.text
        assert PASSWORD not in answer.text


@on_each_postgresql
async def test_an_address_is_one_however_it_is_written(anybody: Api) -> None:
    ways = {
        "alice@example.com": [
            "Alice@Example.COM",
            "ALICE@EXAMPLE.COM",
            "ａｌｉｃｅ＠ｅｘａｍｐｌｅ．ｃｏｍ",  # noqa: RUF001 -- full width is the point
        ],
        "alice@xn--bcher-kva.example": ["alice@bücher.example", "Alice@BÜCHER.example"],
        "josé@example.com": ["jose\u0301@example.com", "José@example.com"],
        "alice+tasks@mail.example.com": ["Alice+Tasks@mail.example.com"],
        "alice@intranet": ["Alice@INTRANET"],
    }
    for canonical, spellings in ways.items():
        first = await _register(anybody, spellings[0])
        assert first.status == 201, first.text
        assert first.body["email"] == canonical
        for spelling in (*spellings, canonical):
            again = await _register(anybody, spelling)
            assert (again.status, again.code) == (409, "email_taken")
            login = await anybody.post("/api/auth/login", {"email": spelling, "password": PASSWORD})
            assert login.status == 200


async def test_a_dot_or_a_tag_makes_another_address(anybody: Api) -> None:
    for email in ("alice@example.com", "al.ice@example.com", "alice+1@example.com"):
        assert (await _register(anybody, email)).status == 201


@given(
    local=st.text(st.characters(min_codepoint=33, max_codepoint=0x24FF), min_size=1, max_size=20),
    domain=st.from_regex(r"[A-Za-zà-žα-ω]{1,10}\.example", fullmatch=True),
)
@example(local="ALICE", domain="EXAMPLE.example")
@example(local="İstanbul", domain="ß.example")
def test_the_canonical_form_of_an_address_is_its_own(local: str, domain: str) -> None:
    try:
        canonical = canonical_email(f"{local}@{domain}")
    except ValueError:
        return
    assert canonical_email(canonical) == canonical
    assert canonical.lower() == canonical == unicodedata.normalize("NFKC", canonical)
    assert canonical.partition("@")[2].isascii()
    assert len(canonical) <= 255


@on_each_postgresql
async def test_twenty_registrations_of_one_address_at_once_make_one_user(
    anybody: Api, connection: asyncpg.Connection
) -> None:
    async def register() -> int:
        while (answer := await _register(anybody, "alice@example.com")).status == 503:
            assert answer.code == "overloaded"
            await asyncio.sleep(0.01)  # what Retry-After asks for, in the tempo of a test
        return answer.status

    statuses = await asyncio.gather(*(register() for _ in range(20)))
    assert sorted(statuses) == [201] + [409] * 19
    assert await connection.fetchval("SELECT count(*) FROM users") == 1


async def test_an_address_that_is_none_is_refused_by_name(anybody: Api) -> None:
    wrong = [
        "",
        " ",
        "alice",
        "alice@",
        "@example.com",
        "alice@@example.com",
        "alice @example.com",
        "alice@exa mple.com",
        " alice@example.com",
        "alice@example.com\n",
        "alice@-example.com",
        "alice@example..com",
        ".alice@example.com",
        "Alice <alice@example.com>",
        "alice@[127.0.0.1]",
        '"a b"@example.com',
        "alice\u202e@example.com",
        "a@" + "b" * 300 + ".com",
        "alice\0@example.com",
        "alice\ud800@example.com",
        None,
        7,
        ["alice@example.com"],
    ]
    for email in wrong:
        assert _pointers(await _register(anybody, email)) == ["/email"], repr(email)


async def test_a_password_of_any_characters_will_do(anybody: Api) -> None:
    passwords = [
        "82736451",
        "p" * 256,
        "\t \n " * 2,
        "пароль密码😀!",
        "😀" * 256,
        "e\u0301" * 256,  # 512 as typed, 256 once composed
        "ﬃ" * 3,  # 3 as typed, 9 in NFKC
    ]
    for number, password in enumerate(passwords):
        email = f"{number}@example.com"
        assert (await _register(anybody, email, password)).status == 201, repr(password)
        login = await anybody.post("/api/auth/login", {"email": email, "password": password})
        assert login.status == 200, repr(password)


async def test_a_password_that_is_none_is_refused_by_name(anybody: Api) -> None:
    wrong = [
        "",
        "1234567",
        "p" * 257,
        "e\u0301" * 7,  # 14 as typed, 7 once composed
        "ﷺ" * 15,  # 15 as typed, 270 in NFKC
        "12345678\0",
        "12345678\ud800",
        "\udc0012345678",
        None,
        12345678,
        True,
        ["12345678"],
    ]
    for password in wrong:
        answer = await _register(anybody, "alice@example.com", password)
        assert _pointers(answer) == ["/password"], repr(password)
        assert "12345678" not in answer.text


async def test_every_fault_of_a_registration_is_told_at_once(anybody: Api) -> None:
    body = {"email": "alice", "password": "short", "is_admin": True}
    assert sorted(_pointers(await anybody.post("/api/auth/register", body))) == ["/email", "/is_admin", "/password"]
    assert sorted(_pointers(await anybody.post("/api/auth/register", {}))) == ["/email", "/password"]
    for member in ("id", "created_at", "updated_at", "password_hash"):
        body = {"email": "alice@example.com", "password": PASSWORD, member: "x"}
        assert _pointers(await anybody.post("/api/auth/register", body)) == [f"/{member}"]


async def test_a_password_counts_whole(anybody: Api) -> None:
    for length in (8, 71, 72, 100, 254):
        email, shared = f"{length}@example.com", "x" * length
        assert (await _register(anybody, email, shared + "a")).status == 201
        for password, status in ((shared + "a", 200), (shared + "b", 401), (shared, 401), (shared + "ab", 401)):
            login = await anybody.post("/api/auth/login", {"email": email, "password": password})
            assert login.status == status, length


async def test_a_password_is_the_same_however_a_keyboard_composes_it(anybody: Api) -> None:
    password = "Ångström ﬁancée"
    assert (await _register(anybody, "alice@example.com", password)).status == 201
    typed = {unicodedata.normalize(form, password) for form in ("NFC", "NFD", "NFKC", "NFKD")}
    assert len(typed) == 4
    for spelling in typed:
        login = await anybody.post("/api/auth/login", {"email": "alice@example.com", "password": spelling})
        assert login.status == 200
