"""Draws of a density that has no data beside it: marginals, pairs, how effective draws grow, the ladder, log Z."""

import numpy as np
from matplotlib.axes import Axes

from scorefleet.tasks.reports.figures.style import CONTROL, DATA, DRAWS, INK, Picture, panels, plain, styled, to_svg

NUM_POINTS, NUM_BINS, NUM_PARTS, PANELS_A_ROW = 1500, 48, 4, 4
MOST_LEVELS = 6


@styled
def marginals(position: np.ndarray, names: list[str]) -> Picture:
    """Histograms of coordinates [chain, draw, coordinate], and over each the outlines of four groups of chains; the bar
    below spans the middle 90 %, with the median.
    """
    rows = -(-len(names) // PANELS_A_ROW)
    columns = min(len(names), PANELS_A_ROW)
    figure, axes = panels(10.6 * columns / PANELS_A_ROW if rows == 1 else 10.6, 2.3 * rows, rows, columns)
    for k, place in enumerate(axes.flat):
        if k >= len(names):
            place.set_axis_off()
            continue
        values = position[:, :, k]
        low, high = np.quantile(values, [0.001, 0.999])
        bins = np.linspace(low, max(high, low + 1e-9), NUM_BINS).tolist()
        place.hist(values.ravel(), bins=bins, density=True, color=DRAWS, alpha=0.35)
        for part in np.array_split(values, min(NUM_PARTS, len(values))):
            place.hist(part.ravel(), bins=bins, density=True, histtype="step", lw=0.8, color=DRAWS, alpha=0.9)
        low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
        top = place.get_ylim()[1]
        place.plot([low, high], [-0.05 * top] * 2, color=INK, lw=2.2, solid_capstyle="butt", clip_on=False)
        place.plot([middle], [-0.05 * top], "o", color=INK, ms=4.5, clip_on=False)
        place.set(title=plain(names[k]), yticks=[], ylim=(-0.1 * top, top))
        place.spines["left"].set_visible(False)
        place.locator_params(axis="x", nbins=5)
    return to_svg(
        figure, "marginals", f"Histograms of {len(names)} coordinates, {', '.join(names)}, by group of chains."
    )


@styled
def scatter_pairs(rows: np.ndarray, names: list[str]) -> Picture:
    """Pairs of coordinates [row, coordinate], and above the diagonal their correlations."""
    size = len(names)
    figure, axes = panels(2.6 * size, 2.5 * size, size, size)
    correlation = np.corrcoef(rows.T)
    low, high = np.quantile(rows, [0.002, 0.998], axis=0)
    shown = rows[np.linspace(0, len(rows) - 1, min(len(rows), NUM_POINTS)).astype(int)]
    for row in range(size):
        for column in range(size):
            place: Axes = axes[row, column]
            if column > row:
                place.set_axis_off()
                words, weight = f"{correlation[row, column]:+.2f}", abs(float(correlation[row, column]))
                place.text(0.5, 0.5, words, ha="center", va="center", fontsize=10 + 10 * weight, color=INK)
                continue
            if row == column:
                place.hist(rows[:, row], bins=np.linspace(low[row], high[row], 36).tolist(), color=DRAWS, alpha=0.55)
                place.set_yticks([])
            else:
                place.scatter(shown[:, column], shown[:, row], s=6, c=DRAWS, alpha=0.45, lw=0, rasterized=True)
                place.set_ylim(low[row], high[row])
            place.set_xlim(low[column], high[column])
            place.tick_params(labelsize=7.5, labelbottom=row == size - 1, labelleft=column == 0 < row)
            place.locator_params(axis="x", nbins=4)
            if row == size - 1:
                place.set_xlabel(plain(names[column]))
            if column == 0 < row:
                place.set_ylabel(plain(names[row]))
    return to_svg(figure, "pairs", f"Scatter plots of each pair of {', '.join(names)}, with their correlations.")


@styled
def growth(
    num_draws: np.ndarray, bulk: np.ndarray, tail: np.ndarray, needed: float, acceptance: np.ndarray, worst: str
) -> Picture:
    """Effective draws of the worst coordinate as draws a chain come in, and the acceptance of each chain."""
    figure, ((left, right),) = panels(10.6, 2.9, 1, 2)
    left.plot(num_draws, bulk, "o-", color=DRAWS, ms=4, label="bulk")
    left.plot(num_draws, tail, "o-", color=DATA, ms=4, label="tails")
    left.axhline(needed, color=CONTROL, lw=1, ls="--", label=f"{needed:.0f} needed")
    top = 1.3 * np.nanmax([*bulk, *tail, needed], initial=needed)
    left.set(title=f"Effective draws of {plain(worst)}", xlabel="draws a chain", ylim=(0, top))
    left.legend(loc="upper left", ncols=3)
    right.hist(acceptance, bins=np.linspace(0, 1, 41).tolist(), color=DRAWS, alpha=0.85)
    right.set(title="Acceptance of each chain", xlabel="accepted proposals", ylabel="chains", xlim=(0, 1))
    ends = f"bulk {bulk[-1]:.0f}, tails {tail[-1]:.0f}; acceptance of a chain {acceptance.min():.2f} or more"
    return to_svg(figure, "growth", f"Effective draws of {worst} by draws a chain, and acceptances: {ends}.")


@styled
def ladder(level: np.ndarray, acceptance: np.ndarray, rejection: np.ndarray, round_trips: np.ndarray) -> Picture:
    """Acceptance at each inverse temperature, rejected swaps between neighbours, and round trips of each chain."""
    figure, ((left, middle, right),) = panels(10.6, 2.9, 1, 3)
    left.plot(level[1:], acceptance[1:], "o-", color=DRAWS, ms=4)
    left.set(title="Acceptance", xlabel="inverse temperature", ylim=(0, 1))
    middle.stairs(rejection, level, baseline=0, fill=True, color=DRAWS, alpha=0.5)
    middle.set(title="Rejected swaps", xlabel="inverse temperature", ylim=(0, 1))
    width = max(1, round((round_trips.max() - round_trips.min()) / 24))
    edges = np.arange(round_trips.min() - 0.5, round_trips.max() + width + 0.5, width).tolist()
    right.hist(round_trips, bins=edges, color=DRAWS, alpha=0.85)
    right.set(title="Round trips of a chain", xlabel="round trips", ylabel="chains")
    words = (
        f"rejected swaps {rejection.min():.2f} to {rejection.max():.2f}, {round_trips.mean():.1f} round trips a chain"
    )
    return to_svg(figure, "ladder", f"A ladder of {len(level)} levels: {words}.")


@styled
def descent(points: np.ndarray, level: np.ndarray, names: list[str]) -> Picture:
    """Where all replicas stand [level, chain, 2], from the wide Gaussian to the density."""
    shown = np.unique(np.linspace(0, len(level) - 1, min(len(level), MOST_LEVELS)).round().astype(int))
    figure, axes = panels(10.6, 2.2, 1, len(shown))
    low, high = np.quantile(points[shown[len(shown) // 2] :].reshape(-1, 2), [0.005, 0.995], axis=0)
    margin = 0.25 * (high - low) + 1e-9
    for place, k in zip(axes[0], shown, strict=True):
        place.scatter(points[k, :, 0], points[k, :, 1], s=6, c=DRAWS, alpha=0.6, lw=0, rasterized=True)
        place.set(xticks=[], yticks=[], title=f"b = {level[k]:.2g}")
        place.set(xlim=(low[0] - margin[0], high[0] + margin[0]), ylim=(low[1] - margin[1], high[1] + margin[1]))
    axes[0, 0].set(xlabel=plain(names[0]), ylabel=plain(names[1]))
    return to_svg(
        figure, "descent", f"Replicas at {len(shown)} levels of the ladder, from a wide Gaussian to the density."
    )


@styled
def evidence(log_z: np.ndarray, estimate: float, low: float, high: float) -> Picture:
    """The estimate of each population, and the interval of their mean."""
    figure, ((axes,),) = panels(10.6, 1.7)
    axes.axvspan(low, high, color=CONTROL, alpha=0.22, lw=0, label="95 % interval")
    axes.axvline(estimate, color=CONTROL, lw=1.6)
    height = np.argsort(np.argsort(log_z)) / len(log_z)
    axes.scatter(log_z, height, s=22, color=DRAWS, alpha=0.85, lw=0, label="a population")
    axes.set(xlabel="log Z, nats", yticks=[], ylim=(-0.1, 1.35))
    axes.legend(loc="upper left", ncols=2)
    alt = f"Estimates of log Z by {len(log_z)} populations: {estimate:.3f}, from {low:.3f} to {high:.3f} nats."
    return to_svg(figure, "evidence", alt)
