"""Whether the migrations of a service changed since they were run."""

import hashlib
import json
from pathlib import Path


def digest_of(directory: Path, *others: Path) -> str:
    """A digest of a directory's files and others: unchanged migrations are not run again."""
    digest = hashlib.sha256()
    found = (path for path in directory.rglob("*") if path.suffix in {".py", ".yaml"})
    for path in (*sorted(found), *others):
        name = str(path.relative_to(directory)) if path.is_relative_to(directory) else path.name
        digest.update(json.dumps([name, path.read_text()]).encode())
    return digest.hexdigest()
