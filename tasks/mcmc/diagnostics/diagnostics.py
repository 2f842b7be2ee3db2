"""Numbers that say whether chains have converged: pure functions of arrays.

Rank-normalised split R-hat and bulk and tail effective sample sizes: Vehtari, Gelman, Simpson, Carpenter &
Bürkner, Bayesian Analysis 16, 2021. Nested R-hat: Margossian et al., Bayesian Analysis 2024, arXiv
2110.13017.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from arviz_stats.base import array_stats  # pyright: ignore[reportPrivateImportUsage]
from jaxtyping import Float, Int
from scipy import special, stats

from scorefleet.tasks.mcmc.diagnostics.tail_index import unreached

MIN_DRAWS = 4
"""Draws a chain that split R-hat and effective sample sizes need."""

ACCEPTANCE_CORRELATION = 0.2
"""Correlation of two acceptances of one chain at one level, at most.

Chains that move freely still differ in acceptance, for it depends on where they are. On exact Gaussian
mixtures in 1 to 128 dimensions the share of chains that 5, 10 or 20 steps leave unmoved is that of a
beta-binomial law of correlation .17 or less.
"""


def split_rhat(draws: Float[np.ndarray, "chain draw"]) -> float:
    """Rank-normalised split R-hat, 1 when every half chain has the same law."""
    return _number(array_stats.rhat(draws, chain_axis=0, draw_axis=1, method="rank"))


def bulk_ess(draws: Float[np.ndarray, "chain draw"]) -> float:
    """Effective sample size of the bulk of all chains together, in draws."""
    return _number(array_stats.ess(draws, chain_axis=0, draw_axis=1, method="bulk"))


def tail_ess(draws: Float[np.ndarray, "chain draw"]) -> float:
    """Effective sample size of the 5 % and 95 % quantiles, the smaller of the two, in draws."""
    return _number(array_stats.ess(draws, chain_axis=0, draw_axis=1, method="tail", prob=(0.05, 0.95)))


def mean_error(draws: Float[np.ndarray, "chain draw"], k: float = 0.0) -> float:
    """Monte Carlo standard error of the mean, in the units of the draws, whose tails have index k (`tail_index`); inf
    where there is no mean.
    """
    seen = _number(array_stats.mcse(draws, chain_axis=0, draw_axis=1, method="mean"))
    num_effective = _number(array_stats.ess(draws, chain_axis=0, draw_axis=1, method="mean"))
    return math.hypot(seen, unreached(draws, num_effective, k))


def sd_error(draws: Float[np.ndarray, "chain draw"], k: float = 0.0) -> float:
    """Monte Carlo standard error of the standard deviation, in the units of the draws; inf where there is none."""
    seen = _number(array_stats.mcse(draws, chain_axis=0, draw_axis=1, method="sd"))
    num_effective, sd = _number(array_stats.ess(draws, chain_axis=0, draw_axis=1, method="sd")), float(draws.std())
    return math.hypot(seen, unreached(draws, num_effective, k, 2) / (2 * sd)) if sd > 0 else seen


def quantile_error(draws: Float[np.ndarray, "chain draw"], probability: float) -> float:
    """Monte Carlo standard error of a quantile, in the units of the draws."""
    return _number(array_stats.mcse(draws, chain_axis=0, draw_axis=1, method="quantile", prob=probability))


def _number(value: Any) -> float:
    return float(value)


def nested_rhat(draws: Float[np.ndarray, "chain draw"], superchain: Int[np.ndarray, " chain"]) -> float:
    """`sqrt(1 + B/W)` over superchains, which are chains of one starting point.

    B is the variance of the superchains' means; W is the variance between the chains of a superchain plus
    that within a chain, averaged over superchains. With M chains of N independent draws it is near `sqrt(1 +
    1/(M N))`. Where superchains differ in size both variances are pooled as in an analysis of variance of one way, M
    being `(n - sum M_k^2/n)/(K - 1)` of K superchains of M_k chains, n in all.
    """
    _, index, sizes = np.unique(superchain, return_inverse=True, return_counts=True)
    num_chains, num_superchains = len(index), len(sizes)
    if num_superchains < 2:
        raise ValueError(f"nested R-hat needs 2 or more superchains, but got {num_superchains}")
    means = draws.mean(1)
    of_superchain = np.bincount(index, means) / sizes
    size = (num_chains - (sizes**2).sum() / num_chains) / (num_superchains - 1)
    between = (sizes * (of_superchain - means.mean()) ** 2).sum() / (num_superchains - 1) / size
    is_alone = num_chains == num_superchains
    between_chains = 0.0 if is_alone else ((means - of_superchain[index]) ** 2).sum() / (num_chains - num_superchains)
    within_chain = draws.var(1, ddof=1).mean() if draws.shape[1] > 1 else 0.0
    return math.sqrt(1 + between / (between_chains + within_chain))


def rank_normalised(draws: Float[np.ndarray, "chain draw"]) -> Float[np.ndarray, "chain draw"]:
    """Normal scores of the ranks among all draws, `Phi^-1((r - 3/8)/(n + 1/4))`: they have a mean and a variance
    whatever the law of the draws.
    """
    ranks = stats.rankdata(draws).reshape(draws.shape)
    return special.ndtri((ranks - 0.375) / (draws.size + 0.25))


class Drift(NamedTuple):
    """By how much chains rise while they are watched, the median over chains, and how likely that is of chains that
    are where they stay.
    """

    rise: float
    p_value: float


def drift(draws: Float[np.ndarray, "chain draw"]) -> Drift:
    """The mean of the last third of each chain less that of its first third. Stationary chains of a reversible kernel
    look the same backwards, so these differences are as often positive as negative, and the signed-rank test of
    Wilcoxon (Biometrics Bulletin 1, 1945) is exact for any number of chains.
    """
    third = draws.shape[1] // 3
    rise = draws[:, -third:].mean(1) - draws[:, :third].mean(1)
    return Drift(float(np.median(rise)), _number(stats.wilcoxon(rise).pvalue))


def weights_ess(log_weight: Float[np.ndarray, " chain"]) -> float:
    """`(sum w)^2 / sum w^2` of importance weights, from 1 to the number of chains."""
    log_weight = log_weight.astype(np.float64)
    return math.exp(2 * special.logsumexp(log_weight) - special.logsumexp(2 * log_weight))


def log_mean_exp(log_weight: Float[np.ndarray, " chain"]) -> tuple[float, float]:
    """`ln mean w` in nats, which estimates log Z for annealing weights, and its standard error
    `sd(w)/(mean(w) sqrt(n))`.
    """
    log_weight = log_weight.astype(np.float64)
    value = _number(special.logsumexp(log_weight)) - math.log(len(log_weight))
    if len(log_weight) == 1:
        return value, math.inf
    relative = np.exp(log_weight - value)
    return value, float(relative.std(ddof=1) / math.sqrt(len(log_weight)))


def unmoved_probability(acceptance: float, num_steps: int) -> float:
    """Probability that a chain that moves freely accepts none of `num_steps` proposals: a beta-binomial law
    at 0.
    """
    if acceptance == 0:
        return 1.0
    strength = 1 / ACCEPTANCE_CORRELATION - 1
    accepted, rejected = acceptance * strength, (1 - acceptance) * strength
    return float(np.exp(special.betaln(accepted, rejected + num_steps) - special.betaln(accepted, rejected)))


def max_stuck(num_chains: int, num_steps: int, acceptance: float, false_alarm_rate: float) -> int:
    """Chains that may accept nothing at a level before they are too many for chains that all move freely."""
    probability = unmoved_probability(acceptance, num_steps)
    return int(stats.binom.isf(false_alarm_rate, num_chains, probability))


def acceptance_error(acceptance: float, num_chains: int, num_steps: int) -> float:
    """Standard error of an acceptance rate whose proposals are correlated within a chain."""
    inflation = 1 + (num_steps - 1) * ACCEPTANCE_CORRELATION
    return math.sqrt(acceptance * (1 - acceptance) * inflation / (num_chains * num_steps))
