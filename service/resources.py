"""Where `sql/` and `migrations/` are: at the top of a checkout, inside the package once installed from a wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource_folder(name: str) -> Path:
    """Return the folder `name` ("sql", "migrations" or, in a checkout, "docs") that travels with the package."""
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
