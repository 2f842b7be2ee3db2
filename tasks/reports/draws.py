"""Draws as a person handles them in Python: as tables, for ArviZ, as pictures, with their verdict."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from scorefleet.tasks import config
from scorefleet.tasks.config.support import Words
from scorefleet.tasks.config.support import parse as parse_support
from scorefleet.tasks.dag.artifacts import Evaluation
from scorefleet.tasks.errors import UsageError
from scorefleet.tasks.store.manifest import SampleStore
from scorefleet.tasks.store.shards import rows_of
from scorefleet.tasks.store.temporary import Temporary

if TYPE_CHECKING:
    import pandas as pd

    from scorefleet.tasks.reports.figures.style import Picture

INTERNAL = ("superchain", "position", "accepted", "log_weight")
"""Columns of a store that say how it was drawn."""

MOST_MARGINALS, MOST_PAIRED = 12, 5


@dataclass(frozen=True)
class Pictures:
    """Figures that a notebook shows, and `save` writes."""

    pictures: tuple["Picture", ...]

    def _repr_html_(self) -> str:
        return "".join(f"<div>{picture.html}</div>" for picture in self.pictures)

    def save(self, folder: str | Path) -> list[Path]:
        """Write each figure into a folder; where they are."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        paths = [Path(folder) / picture.file_name for picture in self.pictures]
        for path, picture in zip(paths, self.pictures, strict=True):
            path.write_bytes(picture.file)
        return paths


@dataclass(frozen=True, repr=False)
class Draws:
    """A store of draws that `verdict` is of: `num_chains` chains of `num_draws` draws each."""

    store: SampleStore
    verdict: Evaluation
    kept: Temporary | None = None
    """What holds the store, where nobody named a place: it goes when the draws do."""

    def __repr__(self) -> str:
        """One line: what was drawn, and whether it can be trusted."""
        said = "converged" if self.verdict.is_converged else f"did not converge: {self.verdict.reasons[0]}"
        chains, draws = self._shape
        return f"<Draws of {', '.join(self.names)}: {chains:,} chains of {draws:,}; {said}>"

    @property
    def is_exact(self) -> bool:
        """Whether every step had a Metropolis-Hastings test, so that the density is their law."""
        return bool(self.store.description()["is_exact"])

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that were drawn: coordinates of a density of yours, columns of a model's data."""
        if self._chains is not None:
            return tuple(self._chains.labels)
        kept = self.store.dataset().schema.names
        return tuple(name for name in kept if name not in (*INTERNAL, "chain", "draw", "log_density"))

    def to_arrow(self) -> pa.Table:
        """Return one row a draw: chain, draw, the columns that were drawn, and log_density where there is one."""
        table = self.store.to_arrow()
        ends = {name: table[name] for name in ("log_density",) if name in table.column_names}
        if self._chains is None:
            drawn: dict[str, Any] = {name: table[name] for name in self.names}
        else:
            position = rows_of(table["position"], self._chains.dim)
            drawn = dict(zip(self._chains.labels, position.T.copy(), strict=True))
        return pa.table({"chain": table["chain"], "draw": table["draw"]} | drawn | ends)

    def to_pandas(self) -> "pd.DataFrame":
        """Return the same as a DataFrame."""
        return self.to_arrow().to_pandas()

    def to_dict(self) -> dict[str, np.ndarray]:
        """Return each variable as an array [chain, draw, *shape]: a named block whole, others one by one."""
        table = self._sorted
        chains, draws = self._shape
        if self._chains is None:
            columns = {name: table[name].to_pylist() for name in self.names}
            return {
                name: np.array(column).reshape(chains, draws, *np.shape(column[0])) for name, column in columns.items()
            }
        x = rows_of(table["position"], self._chains.dim)
        found, first = dict[str, np.ndarray](), 0
        for words in parse_support(self._chains.support, self._chains.dim):
            part, first = x[:, first : first + words.size], first + words.size
            if words.name:
                found[words.name] = _block(part, words).reshape(chains, draws, *words.shape)
        return found or {label: x[:, k].reshape(chains, draws) for k, label in enumerate(self._chains.labels)}

    def to_arviz(self, dims: dict[str, list[str]] | None = None, coords: dict[str, Any] | None = None) -> Any:
        """Return the draws as ArviZ holds them (`arviz_base.from_dict`), with the log density as `lp`; `dims` name the
        axes of blocks, and `coords` what stands along them.
        """
        try:
            from arviz_base import from_dict
        except ModuleNotFoundError as error:
            raise UsageError("to_arviz needs ArviZ: pip install 'scorefleet[arviz]'") from error
        groups: dict[str, Any] = {"posterior": self.to_dict()}
        if "log_density" in self.store.dataset().schema.names:
            groups["sample_stats"] = {"lp": self._sorted["log_density"].to_numpy().reshape(self._shape)}
        with warnings.catch_warnings():
            # Many chains are usual here.
            warnings.filterwarnings("ignore", message="Found chain dimension to be longer")
            return from_dict(groups, dims=dims, coords=coords)

    def plot(self) -> Pictures:
        """Draw histograms of the first coordinates that vary by group of chains, and pairs of them."""
        from scorefleet.tasks.reports.figures import target  # matplotlib, which is in the extra `report`

        x, labels = self._coordinates()
        varies = np.flatnonzero(np.ptp(x.reshape(-1, x.shape[2]), axis=0) > 0)
        x, labels = x[:, :, varies], [labels[k] for k in varies]
        made = [target.marginals(x[:, :, :MOST_MARGINALS], labels[:MOST_MARGINALS])]
        if len(labels) > 1:
            paired = labels[:MOST_PAIRED]
            made.append(target.scatter_pairs(x[:, :, : len(paired)].reshape(-1, len(paired)), paired))
        return Pictures(tuple(made))

    def _coordinates(self) -> tuple[np.ndarray, list[str]]:
        """All numbers that were drawn, float64 [chain, draw, coordinate], and what each is called."""
        if self._chains is not None:
            table, labels = self._sorted, self._chains.labels
            return rows_of(table["position"], len(labels)).reshape(*self._shape, -1), labels
        numbers = {name: value for name, value in self.to_dict().items() if value.dtype.kind in "iuf"}
        pieces = [value.reshape(*self._shape, -1).astype(np.float64) for value in numbers.values()]
        labels = [
            label
            for (name, value), piece in zip(numbers.items(), pieces, strict=True)
            for label in ([name] if value.ndim == 2 else [f"{name}[{k}]" for k in range(piece.shape[2])])
        ]
        return np.concatenate(pieces, axis=2), labels

    @property
    def _sorted(self) -> pa.Table:
        """The rows by chain, and those of a chain by draw."""
        return self.store.to_arrow().sort_by([("chain", "ascending"), ("draw", "ascending")])

    @property
    def _chains(self) -> config.Chains | None:
        """The configuration of draws from a density of one's own."""
        description = self.store.description()
        return config.Chains(**description["config"]) if "target" in description else None

    @property
    def _shape(self) -> tuple[int, int]:
        description = self.store.description()
        return description["num_chains"], description["program"]["num_draws"]


def _block(x: np.ndarray, words: Words) -> np.ndarray:
    """A block as the user's function got it."""
    import torch

    from scorefleet.tasks.mcmc.coordinates.constraints import part_of

    return part_of(words).block(torch.from_numpy(np.array(x))).numpy()
