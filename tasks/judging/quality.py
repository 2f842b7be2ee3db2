"""How like the data the draws are: pure functions of standardised rows.

None of it decides whether chains converged: chains are exact for the model, not for the data.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from scorefleet.tasks.data.schema import DataSchema
from scorefleet.tasks.mcmc.diagnostics.copies import copy_test, memorisation_test, nearest_distances
from scorefleet.tasks.mcmc.diagnostics.twosample import classifier_auc, energy_test

MIN_ROWS = 20
"""Held-out rows and draws below which nothing can be told."""

MAX_CLASSES = 50


@dataclass(frozen=True)
class Rows:
    """Standardised rows [row, dim]; `draws` are denoised and rounded as the data are."""

    train: np.ndarray
    held_out: np.ndarray
    draws: np.ndarray


@dataclass(frozen=True)
class Labels:
    """The class of each training and held-out row."""

    train: np.ndarray
    held_out: np.ndarray


class Quality(NamedTuple):
    """Numbers for the journal, and tables by name."""

    metrics: dict[str, float]
    tables: dict[str, pa.Table]


def compare(rows: Rows, schema: DataSchema, level: float, seed: int) -> Quality:
    """Draws against held-out rows: tests, and each column's moments and Kolmogorov-Smirnov distance."""
    tables = {"columns": column_table(rows, schema)}
    if min(len(rows.held_out), len(rows.draws)) < MIN_ROWS:
        return Quality({}, tables)
    auc = classifier_auc(rows.draws, rows.held_out, seed)
    test = energy_test(rows.draws, rows.held_out, level, seed)
    copies = compare_nearest(rows, seed)
    metrics = {
        "quality/auc": auc.value,
        "quality/auc_standard_error": auc.standard_error,
        "quality/energy_p_value": test.p_value,
        "quality/energy_distance": test.distance,
    }
    return Quality(metrics | copies.metrics, tables | copies.tables)


def compare_nearest(rows: Rows, seed: int) -> Quality:
    """Whether draws are copies of training rows, and each row's nearest training row."""
    sets = {"draws": rows.draws, "held_out": rows.held_out}
    nearest = {name: nearest_distances(x, rows.train) for name, x in sets.items()}
    test = memorisation_test(nearest["draws"].distance, nearest["held_out"].distance)
    copies = copy_test(rows.draws, rows.train, rows.held_out, seed)
    metrics = {
        "quality/copies_p_value": copies.p_value,
        "quality/copies_log_ratio": copies.log_ratio,
        "quality/memorisation_p_value": test.p_value,
        "quality/closer_share": test.closer_share,
        "quality/num_closest": test.num_closest,
    }
    table = pa.concat_tables(
        pa.table(
            {
                "set": [name] * len(found.row),
                "row": np.arange(len(found.row)),
                "train_row": found.row,
                "distance": found.distance.astype(np.float64),
            }
        )
        for name, found in nearest.items()
    )
    return Quality(metrics, {"nearest": table})


def coordinate_names(schema: DataSchema) -> list[str]:
    """`length` for a number, `image[2, 5]` for an element of an array."""
    return [
        column.name + (str(list(index)) if column.shape else "")
        for column in schema.columns
        for index in np.ndindex(*column.shape)
    ]


def column_table(rows: Rows, schema: DataSchema) -> pa.Table:
    """One row a coordinate, in the user's units."""
    sizes = [column.size for column in schema.columns]
    scale = np.repeat([column.scale for column in schema.columns], sizes)
    location = np.concatenate([column.location for column in schema.columns])
    draws, held_out = (x.astype(np.float64) * scale + location for x in (rows.draws, rows.held_out))
    tests = [stats.ks_2samp(a, b, method="asymp") for a, b in zip(draws.T, held_out.T, strict=True)]
    return pa.table(
        {
            "column": coordinate_names(schema),
            "mean_held_out": held_out.mean(0),
            "mean_draws": draws.mean(0),
            "sd_held_out": held_out.std(0),
            "sd_draws": draws.std(0),
            "ks_distance": [float(test.statistic) for test in tests],
            "ks_p_value": [float(test.pvalue) for test in tests],
        }
    )


def class_balance(rows: Rows, labels: Labels) -> Quality:
    """Each class's share of the draws against its share of the data, by a classifier of real rows.

    Of nearest neighbours and logistic regression the one that is right more often on held-out rows.
    """
    real = np.concatenate([labels.train, labels.held_out])
    classes, counts = np.unique(real, return_counts=True)
    if len(np.unique(labels.train)) < 2 or len(classes) > MAX_CLASSES:
        return Quality({}, {})
    candidates = [KNeighborsClassifier(5), LogisticRegression(max_iter=1000)]
    fitted = [classifier.fit(rows.train, labels.train) for classifier in candidates]
    accuracy = [float(classifier.score(rows.held_out, labels.held_out)) for classifier in fitted]
    predicted = fitted[int(np.argmax(accuracy))].predict(rows.draws)
    share_real, share_draws = counts / len(real), np.array([(predicted == name).mean() for name in classes])
    ratio = share_draws / share_real
    table = pa.table({"class": classes, "share_data": share_real, "share_draws": share_draws, "ratio": ratio})
    metrics = {
        "quality/class_accuracy": max(accuracy),
        "quality/class_ratio_min": float(ratio.min()),
        "quality/class_ratio_max": float(ratio.max()),
    }
    return Quality(metrics, {"classes": table})
