"""Energy-based diffusion models with a density: train one, draw from it exactly, and score rows by it.

Everything is imported when it is first used, so that `import scorefleet` costs nothing.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scorefleet.pipelines.in_python import fit, open_store, run, sample
    from scorefleet.tasks.registry.learned import LearnedDensity, load
    from scorefleet.tasks.reports.draws import Draws
    from scorefleet.tasks.store.manifest import SampleStore

__all__ = ["Draws", "LearnedDensity", "SampleStore", "fit", "load", "open_store", "run", "sample"]

_MODULES = {
    "Draws": "scorefleet.tasks.reports.draws",
    "LearnedDensity": "scorefleet.tasks.registry.learned",
    "SampleStore": "scorefleet.tasks.store.manifest",
    "fit": "scorefleet.pipelines.in_python",
    "load": "scorefleet.tasks.registry.learned",
    "open_store": "scorefleet.pipelines.in_python",
    "run": "scorefleet.pipelines.in_python",
    "sample": "scorefleet.pipelines.in_python",
}


def __getattr__(name: str) -> Any:
    """Import a public name (PEP 562)."""
    if name == "__version__":
        return version("scorefleet")  # of what is installed, which code that was sent to a cluster is not
    if name not in _MODULES:
        raise AttributeError(f"module 'scorefleet' has no attribute {name!r}: it has {', '.join(__all__)}")
    return getattr(import_module(_MODULES[name]), name)
