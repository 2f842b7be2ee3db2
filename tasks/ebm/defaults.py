"""What is trained when the user does not say: chosen from the number of rows and columns."""

from dataclasses import dataclass

from scorefleet.tasks.ebm.energies import EnergyName


@dataclass(frozen=True)
class Choice:
    """The keys of `config.Train` that may be left out."""

    energy: EnergyName
    width: int
    num_steps: int
    dropout: float
    time_score_weight: float
    augmentation: float


def choose(num_rows: int, shape: tuple[int, ...] | None) -> Choice:
    """The sharp form for arrays and the bounded one for tables; the fewer rows, the more dropout and the fewer steps.

    Rows are learned by heart otherwise: without dropout the loss on unseen digits (1,300 rows to learn from) rises
    after 2,000 steps, with .4 it does not within 4,000. Images (arrays of two axes) are warped too, which needs less
    dropout.
    """
    dropout = 0.4 if num_rows < 3_000 else 0.2 if num_rows < 10_000 else 0.0
    num_steps = 4_000 if num_rows < 10_000 else 10_000
    if shape is None:
        return Choice("scalar_head", 128, num_steps, dropout, time_score_weight=1.0, augmentation=0.0)
    is_image = len(shape) == 2
    return Choice(
        "inner_product",
        256,
        num_steps,
        dropout / 2 if is_image else dropout,
        time_score_weight=0.1,
        augmentation=0.7 if is_image else 0.0,
    )
