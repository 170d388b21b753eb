"""Copies of this checkout, to change and to run."""

import shutil
from pathlib import Path

TOP = Path(__file__).parents[1]


def copy_checkout(folder: Path) -> Path:
    """Copy this checkout to a folder that is not there yet, without what is only made, and return the folder."""
    patterns = {line.strip("/") for line in (TOP / ".gitignore").read_text().splitlines() if not line.startswith("#")}
    # What is compiled is taken along, since that is quicker than to compile it; but not what is being written just now.
    patterns = patterns - {"__pycache__"} | {".git", "*.pyc.*"}
    shutil.copytree(TOP, folder, ignore=shutil.ignore_patterns(*patterns))
    return folder
