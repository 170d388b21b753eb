"""Where `sql/`, `migrations/` and `docs/` are: at the top of a checkout, inside the package that a wheel installs."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource_folder(name: str) -> Path:
    """Return the folder `name` that travels with the package: "sql", "migrations", or of "docs" what it needs of it."""
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
