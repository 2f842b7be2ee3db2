"""Draws against data: energies, distances to training rows, classes."""

import numpy as np

from scorefleet.tasks.reports.figures.style import DATA, DRAWS, INK, Picture, panels, plain, styled, to_svg
from scorefleet.tasks.reports.figures.tables import bins_of


def energies(data: np.ndarray, draws: np.ndarray) -> Picture:
    """Histograms of `f(x')` at the lowest noise, in nats."""
    return _histograms(data, draws, "energies", "log density f(x′) at the lowest noise, nats", "held-out rows, noised")


def distances(held_out: np.ndarray, draws: np.ndarray) -> Picture:
    """Histograms of the distance to the nearest training row, in standard deviations of the data."""
    label = "distance to the nearest training row, standardised"
    return _histograms(held_out, draws, "distances", label, "held-out rows")


@styled
def _histograms(data: np.ndarray, draws: np.ndarray, name: str, label: str, data_label: str) -> Picture:
    figure, ((axes,),) = panels(5.4, 2.9)
    bins = bins_of(data, draws, 36)
    axes.hist(data, bins=bins, density=True, color=DATA, alpha=0.38, label=data_label)
    axes.hist(draws, bins=bins, density=True, color=DRAWS, histtype="step", lw=2, label="draws")
    axes.set(xlabel=label, ylabel="share per unit", ylim=(0, axes.get_ylim()[1] * 1.18))
    axes.legend(ncols=2, loc="upper right")
    medians = f"medians {np.median(data):.4g} and {np.median(draws):.4g}"
    return to_svg(figure, name, f"Histogram of {label}: {data_label} and draws, {medians}.")


@styled
def classes(names: list[str], share_data: np.ndarray, share_draws: np.ndarray, num_draws: int) -> Picture:
    """Shares of each class, with two standard errors of the draws' share."""
    figure, ((axes,),) = panels(10.6, 2.6)
    place = np.arange(len(names))
    error = 2 * np.sqrt(share_draws * (1 - share_draws) / num_draws)
    axes.bar(place - 0.2, share_data, width=0.38, color=DATA, alpha=0.6, label="data")
    axes.bar(place + 0.2, share_draws, width=0.38, color=DRAWS, alpha=0.9, label="draws")
    axes.errorbar(place + 0.2, share_draws, error, fmt="none", ecolor=INK, elinewidth=0.9)
    axes.set(ylabel="share", ylim=(0, 1.25 * max(share_data.max(), (share_draws + error).max())))
    axes.set_xticks(place, [plain(name) for name in names])
    axes.legend(ncols=2, loc="upper right")
    shares = ", ".join(f"{name} {a:.0%} and {b:.0%}" for name, a, b in zip(names, share_data, share_draws, strict=True))
    return to_svg(figure, "classes", f"Share of each class among data and draws: {shares}.")
