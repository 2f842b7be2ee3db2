"""A log density written in JAX, for `scorefleet sample` and `scorefleet.sample`: its value and gradient, as torch asks,
in 64 bits, since a Metropolis test compares log densities to a fraction of a nat.

    log_density = of_point(f)        # f: a point [dim] -> nats, in JAX

A NumPyro model is one too, in its unconstrained coordinates, to which NumPyro adds the Jacobians itself:

    log_density, dim, constrain = of_numpyro(model, *its arguments)
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import torch
from jax.flatten_util import ravel_pytree
from torch import Tensor


def of_point(log_density: Callable[[Any], Any]) -> Callable[[Tensor], Tensor]:
    """A torch function of points [chain, dim] -> [chain], from a JAX function of one point."""
    both = jax.jit(jax.vmap(jax.value_and_grad(log_density)))

    class Density(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            with jax.enable_x64(True):
                value, gradient = (torch.from_numpy(np.array(part)) for part in both(x.detach().numpy()))
            ctx.save_for_backward(gradient)
            return value

        @staticmethod
        def backward(ctx: Any, *upstream: Tensor) -> Tensor:
            (gradient,) = ctx.saved_tensors
            return upstream[0][:, None] * gradient

    return Density.apply


def of_numpyro(
    model: Callable[..., Any], *arguments: Any, **more: Any
) -> tuple[Callable[[Tensor], Tensor], int, Callable[[np.ndarray], dict[str, np.ndarray]]]:
    """The density of a NumPyro model's unconstrained coordinates, how many they are, and what makes draws [n, dim] the
    model's own variables again.
    """
    from numpyro.infer.util import initialize_model

    with jax.enable_x64(True):
        made = initialize_model(jax.random.PRNGKey(0), model, model_args=arguments, model_kwargs=more)
        flat, to_tree = ravel_pytree(made.param_info.z)
    constrain = jax.vmap(lambda point: made.postprocess_fn(to_tree(point)))

    def variables(draws: np.ndarray) -> dict[str, np.ndarray]:
        with jax.enable_x64(True):
            return {name: np.array(value) for name, value in constrain(draws).items()}

    return of_point(lambda point: -made.potential_fn(to_tree(point))), len(flat), variables
