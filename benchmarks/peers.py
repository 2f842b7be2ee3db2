"""BlackJAX's samplers on the same posteriors, from the same kind of cold start, with their gradients counted.

NUTS (Hoffman & Gelman 2014) with BlackJAX's window adaptation of a diagonal metric; MALA with its step size tuned by
Robbins-Monro on each chain's own acceptance to .574, for BlackJAX adapts none: both with every chain by itself.
ChEES-HMC (Hoffman, Radul & Sountsov, AISTATS 2021) tunes step size, length and a diagonal metric on all chains at once,
by Adam at a rate of .02. BlackJAX's other many-chain sampler, LAPS, ends with one ensemble and keeps no chains, so that
it has no effective sample size a gradient. All in float64.
"""

from collections.abc import Callable
from typing import Any

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.posteriors import Posterior

jax.config.update("jax_enable_x64", True)

CHEES_STEP, CHEES_RATE = 0.1, 0.02

Counted = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Draws [chain, draw, dim], gradients of each draw [chain, draw], and of the warm-up [chain]."""


def cold_start(key: Any, num_chains: int, dim: int) -> Any:
    """Uniform on (-2, 2)."""
    return jax.random.uniform(key, (num_chains, dim), minval=-2.0, maxval=2.0)


def over_chains(run: Callable[[Any, Any], Any], seed: int, num_chains: int, dim: int) -> Counted:
    """`run(key, x)` of every chain, compiled."""
    start_key, run_key = jax.random.split(jax.random.key(seed))
    x = cold_start(start_key, num_chains, dim)
    draws, gradients, warmup = jax.jit(jax.vmap(run))(jax.random.split(run_key, num_chains), x)
    return np.asarray(draws), np.asarray(gradients), np.asarray(warmup)


def nuts(posterior: Posterior, seed: int, num_chains: int, num_adapt: int, num_draws: int) -> Counted:
    """`num_adapt` steps of window adaptation, then `num_draws`."""

    def log_density(x: Any) -> Any:
        return posterior.log_density(jnp, x)

    def run(key: Any, x: Any) -> Any:
        adapt_key, draw_key = jax.random.split(key)
        adaptation = blackjax.window_adaptation(blackjax.nuts, log_density)
        (state, parameters), trace = adaptation.run(adapt_key, x, num_steps=num_adapt)
        kernel = blackjax.nuts(log_density, **parameters)

        def one(state: Any, key: Any) -> Any:
            state, info = kernel.step(key, state)
            return state, (state.position, info.num_integration_steps)

        _, (draws, gradients) = jax.lax.scan(one, state, jax.random.split(draw_key, num_draws))
        return draws, gradients, trace.info.num_integration_steps.sum()

    return over_chains(run, seed, num_chains, posterior.dim)


def chees(posterior: Posterior, seed: int, num_chains: int, num_adapt: int, num_draws: int) -> Counted:
    """`num_adapt` steps that adapt, then `num_draws`; all chains take equally many leapfrogs."""

    def log_density(x: Any) -> Any:
        return posterior.log_density(jnp, x)

    start_key, adapt_key, draw_key = jax.random.split(jax.random.key(seed), 3)
    x = cold_start(start_key, num_chains, posterior.dim)
    adaptation = blackjax.chees_adaptation(log_density, num_chains, mass_matrix_estimation="diagonal")
    (states, parameters), trace = adaptation.run(adapt_key, x, CHEES_STEP, optax.adam(CHEES_RATE), num_adapt)
    kernel = jax.vmap(blackjax.dynamic_hmc(log_density, **parameters).step)

    @jax.jit
    def draw(states: Any) -> Any:
        def one(states: Any, key: Any) -> Any:
            states, info = kernel(jax.random.split(key, num_chains), states)
            return states, (states.position, info.num_integration_steps)

        return jax.lax.scan(one, states, jax.random.split(draw_key, num_draws))[1]

    draws, gradients = (np.asarray(a).swapaxes(0, 1) for a in draw(states))
    return draws, gradients, np.asarray(trace.info.num_integration_steps).sum(0)


def mala(posterior: Posterior, seed: int, num_chains: int, num_adapt: int, num_draws: int) -> Counted:
    """`num_adapt` steps that tune the step size, then `num_draws` with it; one gradient each."""

    def log_density(x: Any) -> Any:
        return posterior.log_density(jnp, x)

    kernel = blackjax.mala.build_kernel()

    def run(key: Any, x: Any) -> Any:
        def adapt(carry: Any, step: Any) -> Any:
            state, log_size = carry
            index, key = step
            state, info = kernel(key, state, log_density, jnp.exp(log_size))
            acceptance = jnp.nan_to_num(info.acceptance_rate)
            return (state, log_size + 4 / (index + 2) ** 0.6 * (acceptance - 0.574)), None

        adapt_key, draw_key = jax.random.split(key)
        start = blackjax.mala.init(x, log_density), jnp.log(0.1)
        steps = jnp.arange(num_adapt), jax.random.split(adapt_key, num_adapt)
        (state, log_size), _ = jax.lax.scan(adapt, start, steps)

        def one(state: Any, key: Any) -> Any:
            state, _ = kernel(key, state, log_density, jnp.exp(log_size))
            return state, state.position

        _, draws = jax.lax.scan(one, state, jax.random.split(draw_key, num_draws))
        return draws, jnp.ones(num_draws), jnp.array(num_adapt)

    return over_chains(run, seed, num_chains, posterior.dim)
