"""How often the gate of `scorefleet retrain` promotes: 200 simulated ticks of each kind, with models that are cheap.

A tick has rows of its own from three classes in four dimensions, 1,000 rows in all, of which 720 are learned from and
280 held out; 200, 144 and 56 where training sets are halved. A model is a mixture of three Gaussians fitted to its
training rows, with 1,000 exact draws and a log Z of 16 noisy estimates (spread .3 nat), as `scorefleet` has it of an
energy. What is judged, and by what code, is what a real tick judges.

    python -m benchmarks.promotion
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import stats
from sklearn.mixture import GaussianMixture

from scorefleet.tasks.retraining.gate import FALSE_PROMOTION_RATE, Facts, compare_draws, compare_likelihoods, decide

NUM_TICKS, NUM_ROWS, NUM_TRAIN, NUM_DRAWS, NUM_POPULATIONS = 200, 1000, 720, 1000, 16
SPREAD = 0.3
FIRST_SEED = 100
"""The rule was settled on seeds 0 to 7."""

SHARES = (0.5, 0.3, 0.2)
SOUND = Facts(True, (), 0, (), (), True)


class Models(NamedTuple):
    """Both models of a tick, and the rows that neither has learned from."""

    challenger: GaussianMixture
    champion: GaussianMixture
    held_out: np.ndarray


def rows_of(random: np.random.Generator, num_rows: int = NUM_ROWS) -> tuple[np.ndarray, np.ndarray]:
    """Rows and their class."""
    label = random.choice(3, size=num_rows, p=SHARES)
    centre = np.array([[0, 0, 0, 0], [3, 1, 0, 0], [0, 3, -1, 0.0]])
    x = centre[label] + random.normal(size=(num_rows, 4)) * np.array([1, 0.7, 1, 1])
    x[:, 3] += 0.8 * x[:, 0]
    return x, label


def fit(rows: np.ndarray, seed: int) -> GaussianMixture:
    return GaussianMixture(3, random_state=seed % 2**31, reg_covar=1e-3).fit(rows)


def same_model(random: np.random.Generator, seed: int) -> Models:
    x, _ = rows_of(random)
    model = fit(x[:NUM_TRAIN], seed)
    return Models(model, model, x[NUM_TRAIN:])


def same_law(random: np.random.Generator, seed: int) -> Models:
    """Each learned from as many rows of its own: the better one by chance is as often the one as the other."""
    x, _ = rows_of(random)
    other, _ = rows_of(random, NUM_TRAIN)
    return Models(fit(x[:NUM_TRAIN], seed), fit(other, seed), x[NUM_TRAIN:])


def dropped_class(random: np.random.Generator, seed: int) -> Models:
    x, label = rows_of(random)
    kept = x[:NUM_TRAIN][label[:NUM_TRAIN] != 2]
    return Models(fit(kept, seed), fit(x[:NUM_TRAIN], seed), x[NUM_TRAIN:])


def halved(random: np.random.Generator, seed: int) -> Models:
    x, _ = rows_of(random, NUM_ROWS // 5)
    size = NUM_TRAIN // 5
    return Models(fit(x[: size // 2], seed), fit(x[:size], seed), x[size:])


def inverted_feature(random: np.random.Generator, seed: int) -> Models:
    x, _ = rows_of(random)
    return Models(fit(x[:NUM_TRAIN] * [1, 1, 1, -1], seed), fit(x[:NUM_TRAIN], seed), x[NUM_TRAIN:])


def exchanged(make: Callable[[np.random.Generator, int], Models]) -> Callable[[np.random.Generator, int], Models]:
    """The better of a pair as the challenger."""

    def made(random: np.random.Generator, seed: int) -> Models:
        challenger, champion, held_out = make(random, seed)
        return Models(champion, challenger, held_out)

    return made


def tick(models: Models, random: np.random.Generator) -> bool:
    """Whether the gate promotes the challenger."""
    log_z = [tuple(random.normal(-(SPREAD**2) / 2, SPREAD, NUM_POPULATIONS)) for _ in models[:2]]
    scores = [
        model.score_samples(models.held_out) - np.log(np.mean(np.exp(logs)))
        for model, logs in zip(models[:2], log_z, strict=True)
    ]
    draws = [model.sample(NUM_DRAWS)[0] for model in models[:2]]
    scale = models.held_out.std(0)
    comparisons = [
        compare_likelihoods(*scores, *log_z),
        compare_draws(*(part / scale for part in draws), models.held_out / scale),
    ]
    return decide(SOUND, True, comparisons).is_promoted


def measure(make: Callable[[np.random.Generator, int], Models], num_ticks: int, seed: int) -> int:
    """The number of promotions in as many ticks."""
    promoted = 0
    for number in range(num_ticks):
        random = np.random.default_rng([seed, number])
        models = make(random, number)
        models.challenger.random_state, models.champion.random_state = 2 * number, 2 * number + 1
        if models.challenger is models.champion:
            models = models._replace(champion=_with_own_draws(models.champion))
        promoted += tick(models, random)
    return promoted


def _with_own_draws(model: GaussianMixture) -> GaussianMixture:
    twin = GaussianMixture(model.n_components, random_state=model.random_state + 10**6)
    twin.__dict__ |= {key: value for key, value in model.__dict__.items() if key != "random_state"}
    return twin


KINDS = {
    "equal: the same model": (same_model, f"at most {FALSE_PROMOTION_RATE:.0%}"),
    "equal: fitted to as many other rows": (same_law, "both better and worse ones"),
    "worse: a class of 20 % dropped": (dropped_class, "0"),
    "worse: half of the training rows": (halved, "0"),
    "worse: a feature inverted": (inverted_feature, "0"),
    "better: a class of 20 % that the champion lacks": (exchanged(dropped_class), "at least 95 %"),
    "better: the feature that the champion has inverted": (exchanged(inverted_feature), "at least 95 %"),
    "better: twice the training rows": (exchanged(halved), "the power, no target"),
}


def main() -> None:
    """Print a row for each kind of challenger."""
    print("| challenger | promoted | 95 % interval | target |\n|---|---|---|---|")
    for seed, (kind, (make, target)) in enumerate(KINDS.items(), FIRST_SEED):
        promoted = measure(make, NUM_TICKS, seed)
        low, high = stats.binomtest(promoted, NUM_TICKS).proportion_ci()
        share = f"{promoted} of {NUM_TICKS} ({promoted / NUM_TICKS:.1%})"
        print(f"| {kind} | {share} | {low:.1%} to {high:.1%} | {target} |", flush=True)


if __name__ == "__main__":
    main()
