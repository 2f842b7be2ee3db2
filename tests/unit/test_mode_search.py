"""Which of the modes that a warm-up found hold draws."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from scorefleet.tasks.judging import mode_search
from scorefleet.tasks.mcmc.coordinates.coordinates import Coordinates
from scorefleet.tasks.mcmc.coordinates.preconditioning import identity
from scorefleet.tasks.mcmc.warmup import frozen
from scorefleet.tasks.mcmc.warmup.mixture import Mixture
from scorefleet.tasks.mcmc.warmup.modes import Modes
from scorefleet.tasks.mcmc.warmup.windows import Tuned


def known(*shares):
    """Modes of sd 1 at 0, 10, ... on the first axis."""
    share = torch.tensor(shares).double()
    mean = torch.zeros(len(shares), 2).double()
    mean[:, 0] = 10 * torch.arange(len(shares))
    factor = torch.eye(2).double().expand(len(shares), 2, 2)
    return Modes(Mixture(share.log(), mean, factor), torch.arange(len(shares)), share)


@pytest.fixture
def store(monkeypatch):
    """A store whose warm-up found the modes that are asked for."""

    def made(modes):
        arrays = frozen.to_arrays(Tuned(Coordinates(identity(2)), 1.0, 1.0)) | frozen.modes_to_arrays(modes)
        monkeypatch.setattr(mode_search, "read_warm", lambda uri: arrays)
        return SimpleNamespace(uri="", description=lambda: {"config": {"target": "a:b", "dim": 2}})

    return made


def test_draws_are_counted_by_mode_as_arrow_lends_them_which_is_to_read_only(store):
    position = np.random.default_rng(0).normal(size=(40, 100, 2))
    position[:30, :, 0] += 10
    position.flags.writeable = False
    found = mode_search.visits(store(known(0.3, 0.6, 0.1)), position)
    assert [one.share for one in found] == pytest.approx([0.3, 0.6, 0.1])
    assert [one.drawn for one in found] == [0.25, 0.75, 0.0]


def test_one_mode_has_nothing_to_visit(store):
    assert mode_search.visits(store(known(1.0)), np.zeros((4, 10, 2))) == ()
