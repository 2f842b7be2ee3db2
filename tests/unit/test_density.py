import sys

import pytest
import torch

from scorefleet.tasks import config
from scorefleet.tasks.errors import DataError, UsageError
from scorefleet.tasks.mcmc.coordinates.constraints import parse
from scorefleet.tasks.user_code import density

MODULE = """
import torch

def normal(x):
    return -0.5 * x.square().sum(1)

def coupled(x):
    return -0.5 * (x - x.mean(0)).square().sum(1)

def coupled_behind_a_constant(x):
    return coupled(x) - 1e7

def rounded(x):
    return (normal(x) - 1e8).float()

def in_float32(x):
    return normal(x.float())

def squeezed(x):
    return normal(x).squeeze()

def scalar(x):
    return -0.5 * x.square().sum()

def undefined(x):
    return x.sum(1) * float("nan")

def broken(x):
    return x[:, 99]

def flat(x):
    return torch.zeros(len(x), dtype=x.dtype)

def detached(x):
    return torch.tensor(-0.5 * x.square().sum(1).detach().numpy())

def gamma(x):
    return torch.distributions.Gamma(x[:, 0].exp(), 1.0).log_prob(x[:, 1].exp())

not_a_function = 3
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "my_densities.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("my_densities", None)


def test_a_function_is_found_in_the_working_folder():
    log_density = density.load("my_densities:normal")
    density.check("my_densities:normal", log_density, parse("real", 3))
    assert log_density(torch.ones(2, 3)).tolist() == [-1.5, -1.5]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere:normal", "needs the module 'nowhere'"),
        ("my_densities:norm", "it has normal"),
        ("my_densities:not_a_function", "is int, but must be a function"),
    ],
)
def test_a_name_without_a_function_is_refused(name, message):
    with pytest.raises(UsageError, match=message):
        density.load(name)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("coupled", "another log density beside other rows"),
        ("coupled_behind_a_constant", "another log density beside other rows"),
        (
            "rounded",
            r"float32 as large as 1e\+08, of which .01 nat is lost to rounding beyond 80000: compute in float64",
        ),
        ("squeezed", r"shape \(1,\) for one point, but returned \(\): leave out .squeeze"),
        ("scalar", r"shape \(16,\)"),
        ("undefined", "finite, with its gradient, at none"),
        ("broken", "raised IndexError"),
        ("flat", "cannot differentiate by the points"),
        ("detached", "leave out .detach"),
    ],
)
def test_a_function_that_is_no_density_of_rows_is_refused(function, message):
    name = f"my_densities:{function}"
    with pytest.raises(DataError, match=message) as caught:
        density.check(name, density.load(name), parse("real", 3))
    assert "\n" not in str(caught.value)


def test_a_density_in_float32_that_is_precise_enough_is_taken():
    density.check("my_densities:in_float32", density.load("my_densities:in_float32"), parse("real", 3))


def test_a_density_of_torch_distributions_is_no_number_where_a_chain_diverged():
    log_density = density.load("my_densities:gamma")
    assert log_density(torch.tensor([[float("nan"), 0.0], [1.0, 0.0]])).isnan().tolist() == [True, False]


@pytest.mark.parametrize(
    ("source", "said"),
    [("def f(x:", "SyntaxError"), ("1 / 0", "ZeroDivisionError"), ("from torch import nobody", "nobody")],
)
def test_a_module_that_cannot_be_imported_is_one_line(tmp_path, monkeypatch, source, said):
    monkeypatch.chdir(tmp_path)
    name = f"broken_{said.lower()}"
    (tmp_path / f"{name}.py").write_text(source)
    with pytest.raises(UsageError, match=f"'{name}' cannot be imported") as error:
        density.load(f"{name}:log_density")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_source_that_cannot_be_read_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "half_written.py").write_text("def f(x:")
    with pytest.raises(UsageError, match=r"the source .*half_written.py cannot be read"):
        density.observe(config.Chains(target="half_written:f"))
