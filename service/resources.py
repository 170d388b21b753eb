"""The folders `sql/`, `migrations/` and `docs/`: at the top of a checkout, or in the package that a wheel installs."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource_folder(name: str) -> Path:
    """Return the folder `name`: "sql", "migrations", or "docs", of which a wheel has what the service needs."""
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
