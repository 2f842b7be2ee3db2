"""The file that `--summary` names: what the last lines print, as JSON."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scorefleet.tasks.errors import StorageError


def write(name: str | None, content: Mapping[str, Any]) -> None:
    """Write a summary where the user asked for it."""
    if name is None:
        return
    try:
        Path(name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise StorageError(f"--summary {name} cannot be written ({error.strerror}): all else is done") from error
