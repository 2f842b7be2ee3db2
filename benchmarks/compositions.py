"""The digits composed: lower halves of held-out pictures given the upper ones, and sevens of the energy of all digits.

    python -m benchmarks.compositions --root runs

Needs a root in which `scorefleet run pipelines/configs/digits.yaml` has registered its model; draws by `scorefleet
generate`, writes `docs/inpainting.png` and `docs/sevens.png`, and prints which share of the draws another classifier,
fitted to the rows to learn from, takes for the class that was asked for or, of halves, for that of the whole picture.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from sklearn.svm import SVC

from scorefleet.pipelines.cli import main as scorefleet
from scorefleet.tasks.data.prepare import read_split
from scorefleet.tasks.data.schema import read_schema
from scorefleet.tasks.reports.figures import images
from scorefleet.tasks.store.manifest import SampleStore
from scorefleet.tasks.store.subsets import vectors

NUM_PICTURES, NUM_SHOWN, NUM_DRAWS, LABEL = 6, 12, 64, 7
CLASSIFIER = "docs.examples.digits_classifier:log_probabilities"
SETTINGS = ["--sample.num_levels", "48", "--sample.temperature", "1.1", "--sample.lowest_noise", "0.1"]
SETTINGS += ["--sample.block_size", str(NUM_DRAWS), "--sample.num_control_chains", str(NUM_DRAWS)]


def main() -> None:
    """Draw both, print the shares, write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default="./runs")
    root = parser.parse_args().root
    data = next(path.parent for path in Path(root).glob("prepare/*/manifest.json"))
    tables = {name: read_split(data, name) for name in ("train", "test")}
    judge = SVC(gamma=0.001).fit(vectors(tables["train"]["image"]), tables["train"]["digit"].to_numpy())
    tone = images.Tone.of(read_schema(data).columns[0], vectors(tables["train"]["image"]))

    sevens = draw(root, ["--sample.steps_per_level", "10", "--classifier", CLASSIFIER, "--label", str(LABEL)])
    print(f"sevens that are taken for a seven: {np.mean(judge.predict(sevens) == LABEL):.2f}")
    alt = "Draws of the energy of all digits that a classifier takes for sevens"
    write("docs/sevens.png", sevens, 16, tone, alt)

    shown, shares = [], []
    for picture, digit in zip(*first_of(tables["test"]), strict=True):
        drawn, given = completed(root, picture)
        shares.append(np.mean(judge.predict(drawn) == digit))
        shown += [picture, np.nan_to_num(given), *drawn[:NUM_SHOWN]]
    print("halves that are taken for the digit of the whole:", *(f"{share:.2f}" for share in shares))
    alt = "In each row a held-out digit, its upper half, and lower halves drawn given that"
    write("docs/inpainting.png", np.array(shown), 2 + NUM_SHOWN, tone, alt)


def first_of(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """The first pictures of held-out rows, flat, and what they show."""
    head = table.slice(0, NUM_PICTURES)
    return vectors(head["image"]).astype(float), head["digit"].to_numpy()


def completed(root: str, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draws given the upper half of a picture, and what they were given: NaN below."""
    given = picture.copy()
    given[32:] = np.nan
    np.save(f"{root}/upper.npy", given.reshape(8, 8))
    drawn = draw(root, ["--sample.steps_per_level", "5", "--fixed.image", f"{root}/upper.npy"])
    if not (drawn[:, :32] == picture[:32]).all():
        sys.exit("what was fixed has changed")
    return drawn, given


def draw(root: str, words: list[str]) -> np.ndarray:
    """Pictures [row, 64] of one `scorefleet generate`."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        words = [*words, *SETTINGS, "--num-samples", str(NUM_DRAWS), "--root", root, "--summary", file.name]
        code = scorefleet(["generate", "--model", "models:/digits@champion", *words])
        if code not in (0, 6):
            sys.exit(code)
        summary = json.loads(Path(file.name).read_text())
    print(f"converged: {summary['is_converged']} ({summary['reasons'][0]})")
    table = SampleStore(summary["samples"], writable=False).dataset().to_table().sort_by("chain")
    return vectors(table["image"]).astype(float)


def write(path: str, rows: np.ndarray, num_columns: int, tone: images.Tone, alt: str) -> None:
    """A grid of pictures."""
    Path(path).write_bytes(images.grid(rows.reshape(-1, 8, 8), num_columns, tone, Path(path).stem, alt).data)


if __name__ == "__main__":
    main()
