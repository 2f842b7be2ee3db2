"""How often the drift tests of `scorefleet retrain` raise an alarm where nothing has drifted, and what they find.

A snapshot of 2,000 rows, of which 200 are gone and to which 200 have come, in eight dimensions with correlations, one
column of whole numbers and one of a log-normal law.

    python -m benchmarks.drift [TICKS]
"""

import sys
import time
from collections.abc import Callable

import numpy as np
from scipy import stats

from scorefleet.tasks.retraining.drift import FALSE_ALARM_RATE, compare, out_of_range

NUM_ROWS, NUM_NEW, DIM = 2000, 200, 8
NAMES = [f"x{k}" for k in range(DIM)]
Change = Callable[[np.ndarray], np.ndarray]


def rows_of(random: np.random.Generator, num_rows: int) -> np.ndarray:
    x = random.normal(size=(num_rows, DIM))
    x[:, 1] += x[:, 0]
    x[:, 2] = random.poisson(2, num_rows)
    x[:, 3] = np.exp(x[:, 3])
    return x


def alarms(change: Change, num_ticks: int, seed: int) -> int:
    """Ticks on which anything is said."""
    found = 0
    for number in range(num_ticks):
        random = np.random.default_rng([seed, number])
        known, arrived = rows_of(random, NUM_ROWS), change(rows_of(random, NUM_NEW))
        scale = known.std(0)
        said = out_of_range(known, arrived, NAMES)
        said += compare(known / scale, arrived / scale, NAMES, "arrived", number)
        said += compare(known[NUM_NEW:] / scale, known[:NUM_NEW] / scale, NAMES, "gone", number)
        found += bool(said)
    return found


def shifted(x: np.ndarray) -> np.ndarray:
    return x + 0.5 * (np.arange(DIM) == 4)


def uncorrelated(x: np.ndarray) -> np.ndarray:
    x[:, 1] = np.random.default_rng(0).permutation(x[:, 1])
    return x


def placeholder(x: np.ndarray) -> np.ndarray:
    x[0, 5] = -999
    return x


def main() -> None:
    """Print a row for each change."""
    num_ticks = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    kinds: dict[str, tuple[Change, int, str]] = {
        "nothing": (lambda x: x, num_ticks, f"at most {FALSE_ALARM_RATE:.1%}"),
        "one column of eight shifted by half a standard deviation": (shifted, 25, ""),
        "a correlation of .7 gone": (uncorrelated, 25, ""),
        "one -999": (placeholder, 25, "all"),
    }
    print("| what drifts | alarms | 95 % interval | target | seconds a tick |\n|---|---|---|---|---|")
    for seed, (kind, (change, ticks, target)) in enumerate(kinds.items()):
        start = time.monotonic()
        found = alarms(change, ticks, seed)
        low, high = stats.binomtest(found, ticks).proportion_ci()
        seconds = (time.monotonic() - start) / ticks
        print(f"| {kind} | {found} of {ticks} | {low:.2%} to {high:.2%} | {target} | {seconds:.2f} |", flush=True)


if __name__ == "__main__":
    main()
