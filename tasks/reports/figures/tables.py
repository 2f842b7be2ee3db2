"""Tables as pictures: columns and pairs of columns, curves, and chains on their way down."""

import numpy as np
from matplotlib.axes import Axes

from scorefleet.tasks.reports.figures.style import DATA, DRAWS, Picture, panels, plain, styled, to_svg

MAX_COLUMNS = 4
NUM_CURVES = 40
NUM_POINTS = 800


@styled
def pairs(data: np.ndarray, draws: np.ndarray, names: list[str]) -> Picture:
    """Histograms of up to four columns on the diagonal, their pairs beside it: data above it, draws below."""
    shown = np.linspace(0, len(names) - 1, min(len(names), MAX_COLUMNS)).astype(int)
    figure, axes = panels(10, 2.4 * len(shown), len(shown), len(shown))
    for row, y in enumerate(shown):
        for column, x in enumerate(shown):
            place = axes[row, column]
            if row == column:
                _two_histograms(place, data[:, x], draws[:, x])
                place.set_title(plain(names[x]))
                place.set_yticks([])
            else:
                rows, colour = (data, DATA) if column > row else (draws, DRAWS)
                place.scatter(
                    rows[:NUM_POINTS, x], rows[:NUM_POINTS, y], s=7, c=colour, alpha=0.5, lw=0, rasterized=True
                )
                both = np.concatenate([data, draws])[:, [x, y]]
                low, high = np.quantile(both, [0.002, 0.998], axis=0)
                place.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
            place.tick_params(labelsize=7.5, labelbottom=row == len(shown) - 1, labelleft=column == 0 < row)
            place.locator_params(nbins=4)
    alt = f"Columns {', '.join(names[k] for k in shown)}: histograms of data and draws, and scatter plots of each pair."
    return to_svg(figure, "data-and-draws", alt)


def _two_histograms(axes: Axes, data: np.ndarray, draws: np.ndarray) -> None:
    bins = bins_of(data, draws, 28)
    axes.hist(data, bins=bins.tolist(), density=True, color=DATA, alpha=0.35, label="data")
    axes.hist(draws, bins=bins.tolist(), density=True, color=DRAWS, histtype="step", lw=1.6, label="draws")


def bins_of(a: np.ndarray, b: np.ndarray, num_bins: int) -> np.ndarray:
    """Bins over the middle 99.6 % of both."""
    low, high = np.quantile(np.concatenate([a, b]), [0.002, 0.998])
    return np.linspace(low, max(high, low + 1e-6), num_bins + 1)


@styled
def curves(data: np.ndarray, draws: np.ndarray) -> Picture:
    """Rows that are one-dimensional arrays, as lines."""
    figure, axes = panels(10, 3.6, 1, 2)
    for place, rows, colour, title in zip(axes[0], (data, draws), (DATA, DRAWS), ("data", "draws"), strict=True):
        place.plot(rows[:NUM_CURVES].T, color=colour, alpha=0.4, lw=0.9)
        place.set(title=title, xlabel="index", ylim=np.quantile(np.concatenate([data, draws]), [0.001, 0.999]))
    return to_svg(figure, "data-and-draws", f"{NUM_CURVES} curves of data on the left, as many draws on the right.")


@styled
def walk(positions: np.ndarray, data: np.ndarray, sigmas: list[float], names: list[str]) -> Picture:
    """Chains [level, chain, dim] in the plane of the first two columns, over the data, at six noise levels."""
    x, y = 0, min(1, len(names) - 1)
    levels = np.linspace(0, len(positions) - 1, 6).round().astype(int)
    figure, axes = panels(10, 2.3, 1, len(levels))
    low, high = np.quantile(
        np.concatenate([data, positions[levels].reshape(-1, data.shape[1])]), [0.005, 0.995], axis=0
    )
    for place, level in zip(axes[0], levels, strict=True):
        place.scatter(data[:NUM_POINTS, x], data[:NUM_POINTS, y], s=5, c=DATA, alpha=0.35, lw=0, rasterized=True)
        place.scatter(positions[level, :, x], positions[level, :, y], s=18, c=DRAWS, lw=0)
        place.set(
            xlim=(low[x], high[x]), ylim=(low[y], high[y]), xticks=[], yticks=[], title=f"σ = {sigmas[level]:.2g}"
        )
    axes[0, 0].set(xlabel=plain(names[x]), ylabel=plain(names[y]))
    alt = f"{positions.shape[1]} chains over the data at six noise levels, from pure noise to the draws."
    return to_svg(figure, "walk", alt)
