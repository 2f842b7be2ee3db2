"""What the chains did: acceptance and step size by noise level, traces and ranks."""

import numpy as np
from matplotlib.axes import Axes
from scipy import stats

from scorefleet.tasks.reports.figures.style import CONTROL, DRAWS, Picture, panels, styled, to_svg

NUM_BINS = 20
NUM_TRACES = 6
NUM_RANKED = 6


@styled
def levels(sigma: np.ndarray, acceptance: np.ndarray, step_size: np.ndarray, band: tuple[float, float]) -> Picture:
    """Acceptance, with the band that the verdict allows, and step size, from the highest noise to the lowest."""
    figure, ((left, right),) = panels(10.6, 3.0, 1, 2)
    left.axhspan(*band, color=DRAWS, alpha=0.14, lw=0)
    left.plot(sigma, acceptance, "o-", color=DRAWS, ms=4)
    left.set(title="Acceptance", ylim=(0, 1), ylabel="accepted proposals")
    right.plot(sigma, step_size, "o-", color=DRAWS, ms=4)
    right.set(title="Step size", yscale="log", ylabel="η, (sd of the data)²")
    for axes in (left, right):
        _noise_axis(axes, sigma)
    alt = (
        f"Acceptance {acceptance.min():.3f} to {acceptance.max():.3f} over {len(sigma)} noise levels, allowed "
        f"{band[0]:.2f} to {band[1]:.2f}; step size from {step_size[0]:.2g} to {step_size[-1]:.2g}."
    )
    return to_svg(figure, "levels", alt)


@styled
def swaps(sigma: np.ndarray, acceptance: np.ndarray, swap_rate: np.ndarray) -> Picture:
    """Where replicas were exchanged: how often steps are accepted at a level, and swaps with the next lower one."""
    figure, ((axes,),) = panels(5.4, 2.9)
    axes.plot(sigma, acceptance, "o-", color=DRAWS, ms=4, label="steps at a level")
    between = np.sqrt(sigma[1:] * sigma[:-1])
    axes.plot(between, swap_rate, "s--", color=CONTROL, ms=4, label="swaps of neighbours")
    axes.set(ylim=(0, 1), ylabel="accepted")
    _noise_axis(axes, sigma)
    axes.legend(loc="lower left")
    alt = f"Swaps of {len(sigma)} neighbouring levels are accepted at rates of {swap_rate.min():.2f} to "
    return to_svg(figure, "swaps", f"{alt}{swap_rate.max():.2f}, steps at {acceptance.min():.2f} or more.")


def _noise_axis(axes: Axes, sigma: np.ndarray) -> None:
    axes.set(xscale="log", xlabel="noise σ, in sd of the data")
    axes.set_xlim(sigma[0] * 1.15, sigma[-1] / 1.15)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")


@styled
def descent(sigma: np.ndarray, log_density: np.ndarray) -> Picture:
    """`f` of a few chains [level, chain] on their way down."""
    figure, ((axes,),) = panels(5.4, 2.9)
    axes.plot(sigma, log_density, color=DRAWS, alpha=0.65, lw=1.1)
    _noise_axis(axes, sigma)
    axes.set(ylabel="log density f, nats")
    ends = f"from about {np.median(log_density[0]):.0f} to about {np.median(log_density[-1]):.0f} nats"
    return to_svg(figure, "descent", f"Log density of {log_density.shape[1]} chains on their way down, {ends}.")


@styled
def control_ranks(draws: np.ndarray, control: np.ndarray) -> Picture:
    """Ranks of the draws' log densities among those of draws and control; level bars mean equal laws."""
    ranks = stats.rankdata(np.concatenate([draws, control]))[: len(draws)] / (len(draws) + len(control))
    counts, _ = np.histogram(ranks, bins=NUM_BINS, range=(0, 1))
    expected = len(draws) / NUM_BINS
    # Counts are hypergeometric: a bin takes from both sets, so a draw in it leaves less room for others.
    spread = 2.58 * np.sqrt(expected * (1 - 1 / NUM_BINS) * len(control) / (len(draws) + len(control)))
    figure, ((axes,),) = panels(5.4, 2.9)
    axes.axhspan(expected - spread, expected + spread, color=CONTROL, alpha=0.2, lw=0, label="99 % of equal laws")
    axes.bar((np.arange(NUM_BINS) + 0.5) / NUM_BINS, counts, width=0.9 / NUM_BINS, color=DRAWS, alpha=0.9)
    axes.axhline(expected, color=CONTROL, lw=1)
    axes.set(
        xlabel="rank of log density among draws and control",
        ylabel="draws",
        ylim=(0, max(counts.max(), expected + spread) * 1.25),
    )
    axes.legend(loc="upper right")
    outside = int((np.abs(counts - expected) > spread).sum())
    return to_svg(
        figure,
        "ranks",
        f"Rank histogram of draws among draws and control: {outside} of {NUM_BINS} bars outside the band.",
    )


@styled
def traces(values: np.ndarray, groups: np.ndarray, name: str, label: str, group: str) -> Picture:
    """A number of each draw [chain, draw] as lines, and the ranks among all of a few groups [group, draw] of them,
    which are chains or what shares a start.
    """
    figure, ((left, right),) = panels(10.6, 3.2, 1, 2)
    left.plot(values[:NUM_TRACES].T, lw=0.8, alpha=0.85)
    left.set(title="Traces", xlabel="draw", ylabel=label)
    ranks = stats.rankdata(groups).reshape(groups.shape)[:NUM_RANKED] / groups.size
    for k, ranked in enumerate(ranks):
        counts, edges = np.histogram(ranked, bins=NUM_BINS, range=(0, 1))
        right.stairs(k + 0.8 * counts / counts.max(), edges, baseline=k, fill=True, color=DRAWS, alpha=0.85)
    right.set(title=f"Ranks by {group}", xlabel="rank among all draws", ylabel=group, yticks=range(len(ranks)))
    alt = f"{label} of {min(len(values), NUM_TRACES)} chains over {values.shape[1]} draws"
    return to_svg(figure, name, f"{alt}, and rank histograms of {len(ranks)} of {len(groups)}: {group} by {group}.")
