"""What is trained when the user does not say: chosen from the number of rows and columns."""

from dataclasses import dataclass

from tasks.ebm.energies import EnergyName


@dataclass(frozen=True)
class Choice:
    """The keys of `config.Train` that may be left out."""

    energy: EnergyName
    width: int
    num_steps: int
    dropout: float


def choose(num_rows: int, dim: int, is_array: bool) -> Choice:
    """Inner product for images, scalar head for tables."""
    return Choice("inner_product" if is_array else "scalar_head", 256 if is_array else 128, 4000, 0.0)
