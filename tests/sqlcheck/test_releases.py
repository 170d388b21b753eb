"""The release that the check compares with, and how that is told."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import orjson
import pytest

from service.database import embedded
from service.migrate.files import CHECKSUMS
from service.sqlcheck.diagnostics import CheckError, NothingToCheckError
from service.sqlcheck.project import Project
from service.sqlcheck.reading.releases import released
from service.sqlcheck.reports import as_json, as_junit, as_text
from service.sqlcheck.run import Report, Result
from service.sqlcheck.subject import Subject
from tests.processes import bare_environ
from tests.sharing import on_one_postgresql
from tests.sqlcheck.repositories import Checkout, checkout, own_git, server, unreleased

__all__ = ["checkout", "own_git", "server", "unreleased"]

pytestmark = on_one_postgresql


def test_the_last_release_is_the_newest_version_behind_head(checkout: Checkout) -> None:
    checkout.release("v1.9.0", "v1.10.0", "v1.2", "vanilla", "v2.0.0-rc.1", "2.1.0")
    checkout.git("checkout", "--quiet", "-b", "other")
    checkout.release("v3.0.0")
    checkout.git("checkout", "--quiet", "main")
    with released(checkout.project) as release:
        assert release.name == "v1.10.0"
    with released(checkout.project, "v3.0.0") as release:
        assert release.name == "v3.0.0"


def test_without_a_release_the_check_is_skipped_and_says_so(unreleased: Checkout, tmp_path: Path) -> None:
    result = unreleased.check()
    told = "Compared with nothing, since HEAD has no release behind it: a tag like v1.2.3."
    assert (result.is_skipped, result.diagnostics) == (True, [])
    assert result.notes == (f"{told} Until there is one, --against names a revision.",)
    assert unreleased.check(against="HEAD").notes == ("Compared with HEAD, since which there is no new migration.",)

    unreleased.git("clone", "--quiet", "--depth=1", f"file://{tmp_path}", str(tmp_path / "shallow"))
    with pytest.raises(NothingToCheckError, match="This clone is shallow, and may lack it: git fetch"):
        released(unreleased.project.at(tmp_path / "shallow")).__enter__()


def test_a_release_that_git_does_not_have_is_one_clear_line(checkout: Checkout) -> None:
    with pytest.raises(CheckError) as caught:
        checkout.check(against="--v9.9.9")
    assert str(caught.value) == (
        f"The git repository of {checkout.folder} has no revision --v9.9.9: name one that it has, or fetch it."
    )
    checkout.git("rm", "--quiet", "-r", "--cached", "sql")
    checkout.git("commit", "--quiet", "--message", "Forget")
    with pytest.raises(CheckError) as caught:
        checkout.check(against="HEAD")
    assert str(caught.value) == "HEAD has no sql: compare with a later revision."


def test_without_git_the_check_is_skipped_and_says_so_unless_a_revision_is_named(
    checkout: Checkout, project: Project, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = project.at(tmp_path_factory.mktemp("bare"))
    told = "Compared with nothing, since {} is in no git repository that git is here to read: use a clone."
    with pytest.raises(NothingToCheckError) as nothing:
        released(bare).__enter__()
    assert str(nothing.value) == told.format(bare.folder)
    with pytest.raises(CheckError) as caught:
        released(bare, "HEAD").__enter__()
    assert str(caught.value) == told.format(bare.folder)

    monkeypatch.setattr(shutil, "which", lambda _program: None)
    result = checkout.check()
    assert (result.is_skipped, result.diagnostics, result.notes) == (True, [], (told.format(checkout.folder),))


def test_what_git_has_not_fetched_is_one_clear_line(
    checkout: Checkout, tmp_path_factory: pytest.TempPathFactory
) -> None:
    partial = tmp_path_factory.mktemp("partial")
    checkout.git("config", "uploadpack.allowFilter", "true")
    clone = ["git", "clone", "--quiet", "--no-checkout", "--filter=blob:none", checkout.folder.as_uri(), str(partial)]
    subprocess.run(clone, check=True, capture_output=True)
    subprocess.run(["git", "-C", partial, "remote", "set-url", "origin", "file:///nowhere"], check=True)
    with pytest.raises(CheckError, match=r"^git cannot read v1\.0\.0: .+ Fetch it whole\.$") as caught:
        released(checkout.project.at(partial)).__enter__()
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_a_repository_that_is_somebody_elses_is_read(checkout: Checkout) -> None:
    for path in (checkout.folder, checkout.folder / ".git"):
        os.chown(path, 65534, 65534)
    with released(checkout.project) as release:
        assert release.name == "v1.0.0"


_OLD = """
-- name: get_old(gone)^
-- What nothing of today feeds.
-- Takes: Gone.
SELECT id FROM members WHERE email = :gone;

-- name: merge_old()
-- What nothing is proved of.
MERGE INTO topics
USING (VALUES ('draft')) AS given (topic) ON topics.topic = given.topic
WHEN MATCHED THEN DO NOTHING;
"""


def test_a_release_may_be_from_before_there_were_checksums_and_rows(unreleased: Checkout) -> None:
    (unreleased.migrations / CHECKSUMS).unlink()
    unreleased.project.rows.unlink()
    old = unreleased.project.sql / "old.sql"
    old.write_text(_OLD)
    unreleased.release("v0.9.0")
    old.unlink()
    unreleased.migrate("add-nothing", "SELECT 1;")
    result = unreleased.check()
    assert result.diagnostics == []
    assert result.notes[1:] == (
        "v0.9.0 has no rows.sql, and so its tables are empty here.",
        (
            "Prepared and not run: create_note, get_old of v0.9.0, which fail on the schema of its own, with the"
            " examples of today and the rows of v0.9.0."
        ),
    )


def test_a_release_whose_migrations_cannot_be_read_is_one_clear_line(unreleased: Checkout) -> None:
    (unreleased.migrations / "first.sql").write_text("SELECT 1;")
    unreleased.git("add", "--all")
    unreleased.git("commit", "--quiet", "--message", "Release")
    (unreleased.migrations / "first.sql").unlink()
    told = "first.sql is not named like a migration: NNNN.verb-words.sql."
    with pytest.raises(CheckError) as caught:
        unreleased.check(against="HEAD")
    assert str(caught.value) == f"HEAD cannot be compared with: {told}"

    (unreleased.migrations / CHECKSUMS).unlink()
    (unreleased.migrations / "first.sql").write_text("SELECT 1;")
    unreleased.git("add", "--all")
    unreleased.git("commit", "--quiet", "--message", "Release")
    with pytest.raises(CheckError) as caught:
        unreleased.check(against="HEAD")
    assert str(caught.value) == f"HEAD cannot be compared with: {told}"


def test_rows_that_do_not_suit_their_own_release_are_told_in_one_line(unreleased: Checkout) -> None:
    unreleased.project.rows.write_text("INSERT INTO nowhere DEFAULT VALUES;")
    unreleased.release("v1.0.0")
    unreleased.migrate("add-nothing", "SELECT 1;")
    with pytest.raises(CheckError, match=r"^v1.0.0 cannot be compared with: The rows of .+ do not suit the schema: "):
        unreleased.check()


def test_notes_are_in_every_report() -> None:
    report = Report([], "18.6", [Result("style", 0.1, []), Result("compatibility", 0.2, [], ("One.", "Two."))])
    assert as_text(report).splitlines() == [
        "compatibility: One.",
        "compatibility: Two.",
        "0 statements on PostgreSQL 18.6: no fault (style 0.1 s, compatibility 0.2 s).",
    ]
    style, compatibility = orjson.loads(as_json(report))["checks"]
    assert (style["notes"], style["is_skipped"]) == ([], False)
    assert (compatibility["notes"], compatibility["is_skipped"]) == (["One.", "Two."], False)
    style_suite, suite = ET.fromstring(as_junit(report))
    assert (style_suite.find("system-out"), suite.findtext("system-out")) == (None, "One.\nTwo.")


def test_a_check_that_is_skipped_does_not_pass_in_any_report(subject: Subject) -> None:
    report = Report(
        list(subject.statements), "18.6", [Result("compatibility", 0.2, [], ("Nothing.",), is_skipped=True)]
    )
    assert as_text(report).endswith(" statements on PostgreSQL 18.6: no fault (compatibility skipped).")
    assert orjson.loads(as_json(report))["checks"][0]["is_skipped"]
    (suite,) = ET.fromstring(as_junit(report))
    assert suite.get("tests") == suite.get("skipped") == str(len(subject.statements))
    assert {one.get("message") for one in suite.iter("skipped")} == {"Nothing."}


def test_the_command_compares_with_the_revision_that_it_is_given(checkout: Checkout, postgres: embedded.Server) -> None:
    id_ = checkout.migrate("revoke", "REVOKE DELETE ON members FROM notes_app;")
    checkout.release("v1.1.0")
    command = [sys.executable, "-m", "service", "sql", "check", "compatibility", "--json"]
    command += ["--config", str(checkout.folder), "--database", postgres.dsn.libpq_url, "--against", "v1.0.0"]
    done = subprocess.run(command, env=bare_environ(), capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    told = orjson.loads(done.stdout)
    assert [(diagnostic["file"], diagnostic["query"]) for diagnostic in told["faults"]] == [
        (f"migrations/{id_}.sql", "delete_member")
    ]
    assert told["checks"][0]["notes"] == ["Compared with v1.0.0, since which there is 1 new migration."]
