"""A folder of this process alone."""

import shutil
import tempfile
import weakref
from pathlib import Path


class Temporary:
    """A new folder, which goes when nothing holds this object any more, or when the process ends."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="scorefleet-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
