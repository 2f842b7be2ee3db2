"""Speed of a MALA step against the floor of its matrix products, beside BlackJAX.

    python -m benchmarks.kernel_speed

The density is a perceptron with two hidden layers, silu and one output, in float32. Its matrix products, forward and
back to the input, take `4 n w (d + w)` operations a step (n chains, width w); the *floor* is the time of as many
operations in large matrix products, measured in the same run. Both sides have one process and two cores: here two
blocks of n/2 chains in a thread each, as two actors have them; there `jit(scan(vmap(step)))`, whose threads are XLA's.
They take turns, and what is printed are medians over the turns of ratios within a turn, so that whoever else uses the
machine slows all sides; `quietest` is the ratio of the shortest times.
"""

import functools
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch import nn

from benchmarks.figures import Figure, report
from scorefleet.tasks.ebm import energies, fused, model
from scorefleet.tasks.mcmc.kernels import mala, metropolis, passes
from scorefleet.tasks.mcmc.kernels.metropolis import Target
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.mcmc.targets import from_log_density

NUM_THREADS, NUM_TURNS, TURN_S, LARGE = 2, 15, 0.12, 1024
STEP_SIZE = 0.01
Run = Callable[[int], None]
"""Makes so many steps."""


@dataclass(frozen=True)
class Case:
    """Dimension, width, chains; the share of the floor that is wanted."""

    dim: int
    width: int
    num_chains: int
    wanted: float

    @property
    def operations(self) -> int:
        """Floating-point operations of a step's matrix products."""
        return 4 * self.num_chains * self.width * (self.dim + self.width)

    def network(self) -> nn.Sequential:
        """The perceptron that both sides walk on."""
        torch.manual_seed(0)
        layers = nn.Linear(self.dim, self.width), nn.SiLU(), nn.Linear(self.width, self.width), nn.SiLU()
        return nn.Sequential(*layers, nn.Linear(self.width, 1)).requires_grad_(False)


CASES = (Case(64, 256, 1024, 0.85), Case(64, 512, 4096, 0.94), Case(2, 64, 4096, 0.5), Case(2, 128, 1024, 0.8))


def in_threads(work: Callable[[int, int], None]) -> Run:
    """`work(thread, count)` in every thread, each on a core of its own."""
    pools = [ThreadPoolExecutor(1, initializer=settle, initargs=(thread,)) for thread in range(NUM_THREADS)]

    def run(count: int) -> None:
        for done in [pool.submit(work, thread, count) for thread, pool in enumerate(pools)]:
            done.result()

    return run


def settle(thread: int) -> None:
    """Keep this thread on its core: two that are woken together may else share one for a tenth of a second."""
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[thread]})
    torch.set_num_threads(1)


def large_products() -> Run:
    """Products of large matrices, one a count and thread."""
    factors = torch.randn(NUM_THREADS, 2, LARGE, LARGE)
    out = torch.empty(NUM_THREADS, LARGE, LARGE)

    def work(thread: int, count: int) -> None:
        for _ in range(count):
            torch.mm(factors[thread, 0], factors[thread, 1], out=out[thread])

    return in_threads(work)


def own_products(case: Case) -> Run:
    """The products of a step by themselves, as torch does them."""
    network, half = case.network(), case.num_chains // NUM_THREADS
    first, second = network[0].weight, network[2].weight
    x, h, g = (torch.randn(NUM_THREADS, half, size) for size in (case.dim, case.width, case.width))

    def work(thread: int, count: int) -> None:
        for _ in range(count):
            torch.mm(x[thread], first.T, out=h[thread])
            torch.mm(h[thread], second.T, out=g[thread])
            torch.mm(g[thread], second, out=h[thread])
            torch.mm(h[thread], first, out=x[thread])

    return in_threads(work)


def ours(case: Case, target: Target) -> Run:
    """Blocks of chains, one a thread."""
    starts = torch.randn(NUM_THREADS, case.num_chains // NUM_THREADS, case.dim)
    states = [metropolis.init(start, target) for start in starts]

    def work(thread: int, count: int) -> None:
        stream = Stream(0, thread)
        for k in range(count):
            states[thread], _ = mala.step(stream.at(0, k), states[thread], target, STEP_SIZE)

    return in_threads(work)


def blackjax_mala(case: Case) -> Run:
    """BlackJAX's step of all chains, compiled with the loop around it."""
    weights = [jnp.asarray(parameter.numpy()) for parameter in case.network().parameters()]
    kernel = blackjax.mala.build_kernel()

    def log_density(x: Any) -> Any:
        hidden = jax.nn.silu(weights[0] @ x + weights[1])
        hidden = jax.nn.silu(weights[2] @ hidden + weights[3])
        return (weights[4] @ hidden + weights[5])[0]

    def one(key: Any, state: Any) -> Any:
        return kernel(key, state, log_density, STEP_SIZE)[0]

    @functools.partial(jax.jit, static_argnums=2)
    def walk(key: Any, states: Any, count: int) -> Any:
        def step(states: Any, key: Any) -> Any:
            return jax.vmap(one)(jax.random.split(key, case.num_chains), states), None

        return jax.lax.scan(step, states, jax.random.split(key, count))[0]

    start = jax.random.normal(jax.random.key(0), (case.num_chains, case.dim))
    states = jax.vmap(lambda x: blackjax.mala.init(x, log_density))(start)
    return lambda count: jax.block_until_ready(walk(jax.random.key(1), states, count))


def seconds(run: Run, count: int) -> float:
    """Time of one of `count`, in seconds."""
    start = time.perf_counter()
    run(count)
    return (time.perf_counter() - start) / count


def take_turns(runs: dict[str, Run]) -> dict[str, np.ndarray]:
    """Seconds of one count of each in `NUM_TURNS` turns that take turns, after two to warm up."""
    counts = {}
    for name, run in runs.items():
        run(2)
        counts[name] = max(2, int(TURN_S / seconds(run, 2)))
        run(counts[name])
    turns = [[seconds(run, counts[name]) for name, run in runs.items()] for _ in range(NUM_TURNS)]
    return dict(zip(runs, np.array(turns).T, strict=True))


def measure(case: Case) -> int:
    """Print the case; 0 when it is as fast as is wanted."""
    target, network = fused.multilayer(case.network()), case.network()
    if target is None:
        sys.exit("there is no g++ here, so there is nothing to compare: install it")
    runs = {
        "large": large_products(),
        "products": own_products(case),
        "ours": ours(case, target),
        "autograd": ours(case, from_log_density(lambda x: network(x)[:, 0])),
        "blackjax": blackjax_mala(case),
    }
    took = take_turns(runs)
    rate = NUM_THREADS * 2 * LARGE**3 / took["large"]
    floor = case.operations / rate
    share = {name: np.median(floor / seconds) for name, seconds in took.items()}
    quietest = {name: floor.min() / seconds.min() for name, seconds in took.items()}
    title = f"d = {case.dim}, width {case.width}, {case.num_chains} chains: floor {1e3 * np.median(floor):.3f} ms"
    figures = [
        Figure("large matrix products, GFLOP/s", np.median(rate) / 1e9),
        Figure("a step, share of the floor", share["ours"], lowest=case.wanted),
        Figure("BlackJAX, share of the floor", share["blackjax"]),
        Figure("BlackJAX's time over ours", np.median(took["blackjax"] / took["ours"]), lowest=1),
        Figure("quietest: a step", quietest["ours"]),
        Figure("quietest: BlackJAX", quietest["blackjax"]),
        Figure("quietest: large matrix products, GFLOP/s", rate.max() / 1e9),
        Figure("with torch's autograd, share of the floor", share["autograd"]),
        Figure("torch's own products alone, share", share["products"]),
    ]
    return report(title, figures)


def parts(case: Case) -> None:
    """Print where the time of a step goes: one block of n/2 chains in one thread, in microseconds."""
    target = fused.multilayer(case.network())
    assert target is not None
    stream = Stream(0, 0)
    state = metropolis.init(torch.randn(case.num_chains // NUM_THREADS, case.dim), target)
    noise, uniform = stream.at(0, 0).normal(*state.x.shape), stream.at(0, 0).uniform(len(state.x))
    proposal = metropolis.init(passes.propose(noise, state, STEP_SIZE), target)

    def repeated(work: Callable[[], Any]) -> Run:
        return lambda count: [work() for _ in range(count)] and None

    took = take_turns(
        {
            "step": repeated(lambda: mala.step(stream.at(0, 0), state, target, STEP_SIZE)),
            "value and score": repeated(lambda: target(state.x)),
            "normals": repeated(lambda: stream.at(0, 0).normal(*state.x.shape)),
            "uniforms": repeated(lambda: stream.at(0, 0).uniform(len(state.x))),
            "proposal": repeated(lambda: passes.propose(noise, state, STEP_SIZE)),
            "decision": repeated(lambda: passes.decide(uniform, state, proposal, STEP_SIZE)),
        }
    )
    print("  one thread, us: " + ", ".join(f"{name} {1e6 * np.median(took_s):.0f}" for name, took_s in took.items()))


def shipped() -> None:
    """Print what a step on the network of the shipped digits takes, with autograd and without."""
    torch.manual_seed(0)
    network = model.build(64, "inner_product", 256, 2).requires_grad_(False).eval()
    nn.init.normal_(network.network.last.weight, std=0.01)
    compiled, level = fused.target(network, -2.9), torch.full((256,), -2.9)
    assert compiled is not None
    targets = {"autograd": lambda x: energies.value_and_score(network, x, level), "fused": compiled}
    state, stream = metropolis.init(torch.randn(256, 64), compiled), Stream(0, 0)

    def stepping(target: Target) -> Run:
        return lambda count: [mala.step(stream.at(0, k), state, target, 1e-3) for k in range(count)] and None

    took = take_turns({name: stepping(target) for name, target in targets.items()})
    print("the digits' energy, a step of 256 chains in one thread, ms: ", end="")
    print(", ".join(f"{name} {1e3 * np.median(took_s):.2f}" for name, took_s in took.items()))


def main() -> int:
    torch.set_num_threads(1)
    num_missed = 0
    for case in CASES:
        num_missed += measure(case)
        parts(case)
    shipped()
    return int(num_missed > 0)


if __name__ == "__main__":
    sys.exit(main())
