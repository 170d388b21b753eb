"""Tasks over HTTP, on a real database."""

from tests.conftest import Api


async def test_a_created_task_can_be_read_again(alice: Api) -> None:
    created = await alice.post("/api/tasks", {"title": "Water the plants"})
    assert created.status == 201
    read = await alice.get(created.headers["Location"])
    assert read.status == 200
    assert read.body == created.body
    assert read.headers["ETag"] == created.headers["ETag"] == '"1"'
