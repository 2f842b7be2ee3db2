"""A user's file that describes a cluster."""

from pathlib import Path
from typing import Any

import yaml

from scorefleet.tasks.errors import UsageError


def read(file: Path) -> dict[str, Any]:
    """The mapping of a YAML file."""
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8 text") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{file} is not YAML: {' '.join(str(error).split())[:160]}") from error
    if not isinstance(document, dict):
        raise UsageError(f"{file} is not a YAML mapping of keys to values")
    return document
