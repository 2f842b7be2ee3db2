"""Compositions of exactly Gaussian models against densities of torch.distributions, in the user's units."""

import json
import math
import sys

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch.distributions import MultivariateNormal

from scorefleet.tasks.config import commands
from scorefleet.tasks.errors import DataError, UsageError
from scorefleet.tasks.registry import composing
from scorefleet.tasks.sampling import composition
from scorefleet.tasks.user_code import classifier
from tests import gaussians

A = gaussians.rows_of([1.0, -2.0, 5.0], [[1.0, 0.5, 0.2], [0.5, 2.0, -0.3], [0.2, -0.3, 0.5]], 1)
B = gaussians.rows_of([3.0, 0.0, 5.5], [[4.0, -1.0, 0.0], [-1.0, 0.9, 0.1], [0.0, 0.1, 9.0]], 2)
MODULE = """
import torch
import my_slopes

def three(x):
    return (x @ my_slopes.SLOPES.to(x)).log_softmax(1)

def logits(x):
    return x @ my_slopes.SLOPES.to(x)

def coupled(x):
    return (x - x.mean(0)).log_softmax(1)

def one_number(x):
    return x.log_softmax(1)[:, 0]

def undefined(x):
    return x.log_softmax(1) * float("nan")

def single(x):
    return torch.nn.Linear(3, 2)(x).log_softmax(1)

def constant(x):
    return torch.full((len(x), 2), 0.5).log()

def numbers(x):
    return [0.0]
"""
SLOPES = torch.tensor([[0.5, 0.0, -1.0], [0.0, 1.0, 0.3], [0.2, 0.1, 0.0]], dtype=torch.float64)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "my_classifiers.py").write_text(MODULE)
    (tmp_path / "my_slopes.py").write_text(f"import torch\nSLOPES = torch.tensor({SLOPES.tolist()})\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in ("my_classifiers", "my_slopes"):
        sys.modules.pop(name, None)


def settings(**changes):
    return commands.Generate(model="models:/a/1", **changes)


def compose(folder, *rows, **changes):
    for k, part in enumerate(rows):
        gaussians.write(folder / f"part-{k}", part, "abc")
    times = tuple(f"models:/b/{k}" for k in range(1, len(rows)))
    return composing.publish(settings(times=times, **changes), folder)


def log_prob(rows, y, beta):
    """The density of `y = x'/sqrt(1-beta)` in the user's units, noised in the units of these rows."""
    mean, covariance = (torch.from_numpy(part) for part in gaussians.law(rows, beta))
    return MultivariateNormal(mean, covariance).log_prob(y)


@pytest.mark.parametrize("logit_beta", [-6.0, 0.3])
def test_a_composition_of_everything_is_the_product_in_the_users_units(folder, logit_beta):
    """Column b fixed; f equals `ln p_A + .5 ln p_B + ln p(2|y)` and the constants that the units of the chains'
    coordinates make: with Jacobians, so to float32's rounding and not up to a constant.
    """
    compose(folder, A, B, weights=(1.0, 0.5), classifier="my_classifiers:three", label=2, fixed={"b": -1.25})
    loaded = composition.load(folder)
    x, t = torch.randn(30, 2, generator=torch.Generator().manual_seed(0)), torch.full((30,), logit_beta)
    beta = 1 / (1 + math.exp(-logit_beta))
    z = x.double() / math.sqrt(1 - beta)
    deviations = torch.from_numpy(A.std(0))
    y = torch.empty(30, 3, dtype=torch.float64)
    y[:, [0, 2]] = torch.from_numpy(A.mean(0))[[0, 2]] + deviations[[0, 2]] * z
    y[:, 1] = -1.25
    units = deviations.log().sum() - 1.5 * math.log(1 - beta)
    expected = 1.5 * units + log_prob(A, y, beta) + 0.5 * log_prob(B, y, beta) + (y @ SLOPES).log_softmax(1)[:, 2]
    value, score = loaded.value_and_score(x, t)
    torch.testing.assert_close(value.double(), expected, rtol=1e-4, atol=1e-4)
    step = torch.tensor([1e-2, 0.0])
    slope = (loaded.value_and_score(x + step, t)[0] - loaded.value_and_score(x - step, t)[0]) / 2e-2
    torch.testing.assert_close(score[:, 0], slope, rtol=2e-2, atol=2e-2)
    assert loaded.dim == 2


def test_a_product_with_itself_of_weights_that_add_to_one_is_the_model(folder):
    compose(folder, A, A, weights=(0.25, 0.75))
    loaded, plain = composition.load(folder), composition.load(folder / "part-0")
    x, t = torch.randn(10, 3), torch.full((10,), -3.0)
    for composed, alone in zip(loaded.value_and_score(x, t), plain.value_and_score(x, t), strict=True):
        torch.testing.assert_close(composed, alone, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(loaded.denoise(x, t), plain.denoise(x, t), rtol=1e-4, atol=1e-4)


def test_denoised_rows_are_the_weighted_mean_of_what_each_model_expects(folder):
    """`E_k[y|y'] = m_k + C_k V_k^-1 (y' - m_k)` of either Gaussian in the user's units; column b as it is fixed."""
    compose(folder, A, B, weights=(1.0, 3.0), fixed={"b": -1.25})
    loaded, beta = composition.load(folder), 0.4
    x, t = torch.randn(8, 2), torch.full((8,), math.log(beta / (1 - beta)))
    y = A.mean(0) + A.std(0) * loaded.whole(x, t).double().numpy() / math.sqrt(1 - beta)
    means = []
    for rows in (A, B):
        mean, noised = gaussians.law(rows, beta)
        means.append(mean + (y - mean) @ np.linalg.solve(noised, np.cov(rows.T)))
    expected = 0.25 * means[0] + 0.75 * means[1]
    denoised = A.mean(0) + A.std(0) * loaded.denoise(x, t).double().numpy()
    assert np.allclose(denoised[:, [0, 2]], expected[:, [0, 2]], atol=2e-3)
    assert np.allclose(denoised[:, 1], -1.25, atol=1e-5)


def test_rows_hold_what_is_fixed_exactly_and_in_its_type(folder):
    compose(folder, A, fixed={"b": 0.1, "c": 1 / 3})
    schema = composition.schema_of(folder)
    decoded = schema.decode(np.zeros((4, 3), dtype=np.float32))
    assert decoded["b"].to_pylist() == [0.1] * 4
    assert decoded["c"].to_pylist() == [1 / 3] * 4
    assert np.allclose(decoded["a"].to_numpy(), 1.0)
    gaussians.write(folder / "part-0", np.rint(4 * A), "abc", "int16")
    composing.publish(settings(fixed={"b": -9}), folder)
    decoded = composition.schema_of(folder).decode(np.zeros((4, 3), dtype=np.float32))
    assert decoded["b"].type == pa.int16()
    assert decoded["b"].to_pylist() == [-9] * 4


def test_whole_numbers_at_an_end_are_held_where_training_puts_them(folder):
    """A third of the rows are 0 and become `-half - .8 (z - Z)`, `Z < z`, of median `Z = ndtri(1/6)`; 1 stays."""
    rows = np.tile([[0.0, 1.0, 7.0], [1.0, 3.0, 2.0], [2.0, 2.0, 1.0]], (20, 1))
    held = {}
    for value in (0, 1):
        gaussians.write(folder / "part-0", rows, "abc", "uint8")
        composing.publish(settings(fixed={"a": value}), folder)
        held[value] = float(composition.load(folder).fixed[0])
    deviation = rows[:, 0].std()
    tail = 0.8 * (torch.special.ndtri(torch.tensor(1 / 3)) - torch.special.ndtri(torch.tensor(1 / 6)))
    assert held[1] == pytest.approx(0, abs=1e-6)
    assert held[0] == pytest.approx((0 - 1 - 0.499) / deviation - float(tail), abs=1e-5)


def test_the_digest_covers_every_part_and_every_setting(folder):
    seen = {
        compose(folder, A, B).digest,
        compose(folder, B, A).digest,
        compose(folder, A, B, weights=(1.0, 2.0)).digest,
        compose(folder, A, B, fixed={"a": 1.0}).digest,
        compose(folder, A, B, fixed={"a": 2.0}).digest,
        compose(folder, A, B, classifier="my_classifiers:three", label=0).digest,
        compose(folder, A, B, classifier="my_classifiers:three", label=1).digest,
    }
    (folder / "my_classifiers.py").write_text(MODULE + "\n# another")
    seen.add(compose(folder, A, B, classifier="my_classifiers:three", label=1).digest)
    assert len(seen) == 8
    assert compose(folder, A, B).digest in seen


def test_the_digest_of_a_classifier_sees_what_it_imports_from_the_working_folder(folder):
    before = classifier.observe("my_classifiers:three").digest
    (folder / "my_slopes.py").write_text((folder / "my_slopes.py").read_text() + "# changed")
    assert classifier.observe("my_classifiers:three").digest != before


@pytest.mark.parametrize(
    ("function", "label", "kind", "message"),
    [
        ("nowhere:three", 0, UsageError, "needs the module 'nowhere'"),
        ("my_classifiers:four", 0, UsageError, "has no function 'four'"),
        ("my_classifiers:three", 3, UsageError, "label must be from 0 to 2, .* but got 3"),
        ("my_classifiers:logits", 0, DataError, r"end it with log_softmax\(1\)"),
        ("my_classifiers:coupled", 0, DataError, "other probabilities beside other rows"),
        ("my_classifiers:one_number", 0, DataError, r"shape \(16, number of classes\)"),
        ("my_classifiers:numbers", 0, DataError, "but returned list"),
        ("my_classifiers:undefined", 0, DataError, "at none of 16 points"),
        ("my_classifiers:single", 0, DataError, "raised RuntimeError"),
        ("my_classifiers:constant", 0, DataError, "has no gradient"),
    ],
)
def test_a_function_that_is_no_classifier_is_refused_in_one_line(folder, function, label, kind, message):
    with pytest.raises(kind, match=message) as told:
        compose(folder, A, classifier=function, label=label)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("fixed", "kind", "message"),
    [
        ({"d": 1.0}, UsageError, "fixed.d is no column of the model: it has a, b, c"),
        ({"a": "x.npy"}, UsageError, "fixed.a must be a number, but got 'x.npy'"),
        ({"a": float("inf")}, UsageError, "fixed.a must be a number, but got inf"),
        ({"a": 1.0, "b": 1.0, "c": 1.0}, UsageError, "leave some free, but got 3 of 3 fixed"),
    ],
)
def test_what_cannot_be_fixed_is_refused_in_one_line(folder, fixed, kind, message):
    with pytest.raises(kind, match=message):
        compose(folder, A, fixed=fixed)


def test_whole_numbers_are_fixed_at_whole_numbers_of_their_range(folder):
    gaussians.write(folder / "part-0", np.rint(4 * A), "abc", "int16")
    for value in (0.5, 1e4):
        with pytest.raises(UsageError, match="must be whole numbers from"):
            composing.publish(settings(fixed={"a": value}), folder)


def test_models_without_a_density_or_of_other_columns_are_no_factors(folder):
    compose(folder, A, B)
    gaussians.write(folder / "part-1", B, "abd")
    with pytest.raises(UsageError, match=r"models:/a/1 has c \(float64\) where models:/b/1 has d \(float64\)"):
        composing.publish(settings(times=("models:/b/1",)), folder)
    gaussians.write(folder / "part-1", B[:, :2], "ab")
    with pytest.raises(UsageError, match="models:/a/1 has 3 columns where models:/b/1 has 2 columns"):
        composing.publish(settings(times=("models:/b/1",)), folder)
    gaussians.write(folder / "part-1", np.rint(B), "abc")
    with pytest.raises(UsageError, match=r"a \(whole float64\)"):
        composing.publish(settings(times=("models:/b/1",)), folder)
    description = gaussians.words(folder / "part-1") | {"energy": "score_only"}
    (folder / "part-1" / "model.json").write_text(json.dumps(description))
    with pytest.raises(UsageError, match=r"models:/b/1 is of train\.energy score_only, which has no density"):
        composing.publish(settings(times=("models:/b/1",)), folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": (1.0, 2.0)}, "weights must be 1 numbers"),
        ({"times": ("models:/b/1",), "weights": (1.0,)}, "weights must be 2 numbers"),
        ({"times": ("models:/b/1",), "weights": (1.0, -1.0)}, "weights must be positive"),
        ({"classifier": "a:b"}, "label must be given with classifier"),
        ({"label": 1}, "label must be given with classifier"),
        ({"classifier": "a", "label": 1}, "classifier must be MODULE:FUNCTION"),
        ({"classifier": "a:b", "label": -1}, "label must be 0 or more"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        settings(**changes)
