"""Rows of a store say of their chains what the chains' density says of them."""

import numpy as np
import pytest
import torch

from scorefleet.tasks import config
from scorefleet.tasks.mcmc.kernels.kernels import KERNELS
from scorefleet.tasks.mcmc.noise_ladder import program as programs
from scorefleet.tasks.mcmc.noise_ladder.annealing import Ladder
from scorefleet.tasks.sampling.chain_actor import ChainMaker
from scorefleet.tasks.sampling.draws import to_table
from scorefleet.tasks.sampling.sample import program_of


@pytest.mark.parametrize("kernel", [name for name, kernel in KERNELS.items() if kernel.needs_value])
def test_denoised_columns_are_the_models_own_denoising_of_the_position(tiny_folders, kernel):
    """The chains' scores are those of the density to the power 1/T; the columns must not be."""
    maker = ChainMaker(str(tiny_folders["model"] / "model"), "cpu")
    settings = config.Sample(num_draws=4, block_size=5, steps_per_level=2, num_levels=3, kernel=kernel)
    ladder = Ladder((2.0, 0.0, -3.0), (0.5, 0.4, 0.3), (1.0,) * 3, exchanged=(0, 2), temperature=1.7, kernel=kernel)
    program = program_of("draws", settings, 7, 3, ladder)
    made = programs.first_segment(program, 0, range(4), maker.target_at(1.7), "cpu")
    table = to_table(made, program, range(5), maker.model, maker.schema)
    x = made.draws.position.flatten(0, 1)
    expected = maker.schema.decode(maker.model.denoise(x, torch.full((len(x),), -3.0)).numpy())
    for name, column in expected.items():
        np.testing.assert_allclose(table[name].to_numpy(), column, rtol=1e-4, atol=1e-4)
