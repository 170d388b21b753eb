"""The wheel carries its SQL and runs from anywhere; the lock pins everything and says nothing about where from."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # it ships no types

from service import __version__
from service.resources import resource_folder

_ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, as `make build` makes it."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run(
        [*command, "--no-build-isolation", "--no-index", "--wheel-dir", folder, _ROOT], check=True, timeout=110
    )
    (made,) = folder.iterdir()
    return made


def test_the_wheel_is_of_the_release_that_the_code_says(wheel: Path) -> None:
    assert wheel.name == f"task_service-{__version__}-py3-none-any.whl"


def test_the_wheel_holds_the_code_and_the_sql_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for folder in ("sql", "migrations"):
        files = {f"service/{folder}/{file.name}" for file in resource_folder(folder).glob("*.sql")}
        assert files
        assert files <= names
    assert {"service/docs/schema.sql", "service/migrations/checksums.txt"} <= names
    code = {str(file.relative_to(_ROOT)) for file in (_ROOT / "service").rglob("*") if file.is_file()}
    assert {name for name in code if "__pycache__" not in name} <= names
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"service", "task_service"}
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def test_the_wheel_carries_its_licence_and_those_of_what_is_vendored(wheel: Path) -> None:
    folder = f"task_service-{__version__}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(f"{folder}/METADATA").decode()
        carried = {name for name in archive.namelist() if name.startswith(f"{folder}/licenses/")}
    ours = {"LICENSE", *(str(file.relative_to(_ROOT)) for file in (_ROOT / "service").rglob("*LICENSE*"))}
    ours |= {str(file.relative_to(_ROOT)) for file in (_ROOT / "service").rglob("NOTICE")}
    assert "\nLicense-Expression: Apache-2.0\n" in metadata
    assert set(re.findall(r"^License-File: (.+)$", metadata, re.MULTILINE)) == ours
    assert carried == {f"{folder}/licenses/{name}" for name in ours}
    assert len(ours) == 5
    assert (_ROOT / "LICENSE").read_text().split(maxsplit=4)[:4] == ["Apache", "License", "Version", "2.0,"]


def test_what_is_installed_from_the_wheel_runs_on_its_own_sql(wheel: Path, tmp_path: Path) -> None:
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # The checkout is not on the path: -P leaves out the current folder, and the wheel comes before what is installed.
    code = (
        "import service, service.app\n"
        "from service.database.queries import queries\n"
        "from service.resources import resource_folder\n"
        "print(service.__file__)\n"
        "print(resource_folder('sql'))\n"
        "print(len(list(resource_folder('migrations').glob('*.sql'))))\n"
        "print(queries.get_task.sql.split('*/')[0])\n"
    )
    ran = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [
        str(site / "service" / "__init__.py"),
        str(site / "service" / "sql"),
        str(len(list(resource_folder("migrations").glob("*.sql")))),
        "SELECT /* get_task ",
    ]


def test_what_is_vendored_keeps_its_licences_and_says_its_version() -> None:
    vendored = _ROOT / "service" / "http" / "describing" / "docs" / "swagger-ui"
    bundle = (vendored / "swagger-ui-bundle.js").read_text()
    others = re.search(r"license information please see (\S+)", bundle[:200])
    assert others
    assert "MIT" in (vendored / others[1]).read_text()
    assert "Apache License" in (vendored / "LICENSE").read_text()
    assert "SmartBear" in (vendored / "NOTICE").read_text()
    version = re.search(r'PACKAGE_VERSION:"([0-9.]+)"', bundle)
    assert version
    assert set(re.findall(r"\d+\.\d+\.\d+", (vendored / "README.md").read_text())) == {version[1]}


def test_the_lock_pins_everything_and_names_no_index() -> None:
    lines = (_ROOT / "requirements.lock").read_text().splitlines()
    pins = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    assert len(pins) > 50
    assert [line for line in pins if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*==[0-9][A-Za-z0-9.+!]*", line)] == []
    assert not [line for line in lines if "://" in line or "--" in line]
    names = [line.partition("==")[0] for line in pins]
    assert names == sorted(set(names))


def test_the_lock_holds_what_the_project_asks_for() -> None:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(name for extra in project["optional-dependencies"].values() for name in extra)]
    locked = {line.partition("==")[0] for line in (_ROOT / "requirements.lock").read_text().splitlines()}
    assert {re.split(r"[^A-Za-z0-9-]", name)[0].lower() for name in asked} <= locked


def test_ci_runs_every_python_that_the_package_is_said_to_run_on() -> None:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    named = [name.rpartition(" ")[2] for name in project["classifiers"] if "Python" in name]
    job = yaml.safe_load((_ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]["test"]
    runs = job["strategy"]["matrix"]["include"]
    assert [run["python"] for run in runs] == named
    # Debian 12 has 3.11, and an older one of it than the images of Python.
    assert [run["image"] for run in runs] == ["debian:bookworm", *(f"python:{name}-bookworm" for name in named[1:])]
    assert job["container"] == "${{ matrix.image }}"
    assert project["requires-python"] == f">={named[0]}"


def test_no_file_names_a_package_registry() -> None:
    if not (_ROOT / ".git").exists():
        pytest.skip("this is not a git checkout, which would tell our files from others")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=_ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    # In parts, so that this file names none either.
    hosts = [
        ".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("anaconda", "org"))
    ]
    named = [
        (name, host)
        for name in listed.stdout.split("\0")
        if name and (_ROOT / name).is_file()
        for host in hosts
        if host in (_ROOT / name).read_text(errors="replace")
    ]
    assert named == []
