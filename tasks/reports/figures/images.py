"""Grids of pictures: data and draws, chains on their way down, draws beside their nearest training rows."""

from dataclasses import dataclass

import numpy as np

from scorefleet.tasks.data.schema import Column
from scorefleet.tasks.reports.figures.style import Picture, to_png

PAPER, PEN = np.array([252.0, 251.0, 248.0]), np.array([24.0, 33.0, 54.0])
MIN_TILE_PIXELS = 48
MIN_EMPTY_SHARE = 1 / 3


@dataclass(frozen=True)
class Tone:
    """How values become colours: dark on light where most of a picture is empty ground, else light on dark."""

    minimum: float
    maximum: float
    is_drawing: bool

    @classmethod
    def of(cls, column: Column, rows: np.ndarray) -> "Tone":
        """Chosen from rows of data: a third or more of all pixels empty makes a drawing."""
        empty = column.minimum + 0.01 * (column.maximum - column.minimum)
        is_drawing = float((rows <= empty).mean()) >= MIN_EMPTY_SHARE
        return cls(column.minimum, column.maximum, is_drawing)

    def colours(self, values: np.ndarray) -> np.ndarray:
        """Grey [..., height, width] or colour [..., height, width, 3] values as uint8 [..., 3]."""
        share = np.clip((values - self.minimum) / (self.maximum - self.minimum), 0, 1)
        if share.shape[-1] != 3:
            share = share[..., None]
            from_colour, to_colour = (PAPER, PEN) if self.is_drawing else (PEN, PAPER)
            return (from_colour + share * (to_colour - from_colour)).round().astype(np.uint8)
        return (255 * share).round().astype(np.uint8)


def is_picture(column: Column) -> bool:
    """Whether a row of the column is a grey or colour picture."""
    return len(column.shape) == 2 or (len(column.shape) == 3 and column.shape[2] == 3)


def in_users_units(column: Column, z: np.ndarray) -> np.ndarray:
    """Standardised [row, size] as arrays [row, *shape], neither rounded nor clipped."""
    return (z * column.scale + np.array(column.location)).reshape(-1, *column.shape)


def grid(images: np.ndarray, num_columns: int, tone: Tone, name: str, alt: str) -> Picture:
    """Images [image, height, width(, 3)], row by row, with a transparent gap between."""
    tiles = tone.colours(images)
    repeat = max(1, -(-MIN_TILE_PIXELS // tiles.shape[1]))
    tiles = tiles.repeat(repeat, axis=1).repeat(repeat, axis=2)
    _, height, width, _ = tiles.shape
    gap = max(2, height // 12)
    num_rows = -(-len(tiles) // num_columns)
    shape = (num_rows * (height + gap) - gap, num_columns * (width + gap) - gap, 4)
    pixels = np.zeros(shape, dtype=np.uint8)
    for k, tile in enumerate(tiles):
        top, left = (k // num_columns) * (height + gap), (k % num_columns) * (width + gap)
        pixels[top : top + height, left : left + width, :3] = tile
        pixels[top : top + height, left : left + width, 3] = 255
    return to_png(pixels, name, alt)
