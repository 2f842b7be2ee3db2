"""`scorefleet score`: the log density of each row of a table, by a registered model."""

import hashlib
from collections.abc import Sequence

from scorefleet.pipelines import preflight, summary
from scorefleet.pipelines.one_line_parser import OneLineParser
from scorefleet.tasks.config.allowed import MODEL_URI
from scorefleet.tasks.console import output
from scorefleet.tasks.errors import UsageError


def score(arguments: Sequence[str]) -> int:
    """`scorefleet score`."""
    parser = OneLineParser("score", "Write the log density of each row of a table, in nats, by a registered model.")
    parser.add_argument("--model", required=True, help="models:/NAME@ALIAS, models:/NAME/VERSION, or a model's folder.")
    parser.add_argument("--data", required=True, help="A file or folder with the model's columns; others are left out.")
    parser.add_argument("--root", default="./runs", help="Folder under which everything is kept; ./runs if not given.")
    parser.add_argument("--tracking-uri", help="MLflow tracking server; a file under the root if not given.")
    parser.add_argument("--summary", metavar="FILE", help="Write the outcome as JSON.")
    given = parser.parse_args(arguments)
    if given.model.startswith("models:") and MODEL_URI.fullmatch(given.model) is None:
        raise UsageError(
            f"--model must be models:/NAME@ALIAS, models:/NAME/VERSION or a folder, but got {given.model!r}"
        )
    preflight.require_writable(given.root)
    preflight.require_file(given.summary, "--summary")
    import numpy as np  # seconds of torch and MLflow, for which --help need not wait
    import pyarrow as pa
    import pyarrow.parquet as pq

    from scorefleet.tasks.registry.learned import load
    from scorefleet.tasks.store import objects
    from scorefleet.tasks.store.places import folder_of

    density = load(given.model, given.root, given.tracking_uri)
    nats, log_z = density.log_prob(given.data), density.log_z
    written = pa.BufferOutputStream()
    pq.write_table(pa.table({"row": np.arange(len(nats)), "log_prob": nats}), written)
    data = written.getvalue().to_pybytes()
    folder = folder_of(given.root) / "score" / hashlib.sha256(data).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    objects.replace(folder, "scores.parquet", data)
    possible = nats[np.isfinite(nats)]
    outcome = {
        "num_rows": len(nats),
        "num_impossible": len(nats) - len(possible),
        "mean_log_prob": float(possible.mean()) if len(possible) else None,
        "log_z": log_z.estimate,
        "log_z_low": log_z.low,
        "log_z_high": log_z.high,
        "scores": str(folder / "scores.parquet"),
    }
    if len(possible):
        error = (log_z.high - log_z.low) / 2
        output(f"{possible.mean():.3f} nats a row in the mean of {len(possible):,} rows, +- {error:.3f} by log Z")
    if len(possible) < len(nats):
        output(f"{len(nats) - len(possible):,} rows hold values that the model gives no probability to")
    output(f"scores   {outcome['scores']}")
    summary.write(given.summary, outcome)
    return 0
