"""The way down the noise levels as the configuration has it, known without torch."""

from dataclasses import dataclass, fields

from scorefleet.tasks import config
from scorefleet.tasks.data.schema import DataSchema

LOWEST_NOISE, LOWEST_NOISE_WHOLE = 0.05, 0.1


@dataclass(frozen=True)
class Descent:
    """The part of the sampling's settings that the particles share, and how many they are."""

    populations: config.Normalise
    num_levels: int
    steps_per_level: int
    temperature: float
    lowest_noise: float | None

    @classmethod
    def of(cls, populations: config.Normalise, sample: config.Sample) -> "Descent":
        """Particles go down the levels that the chains go down."""
        keys = [field.name for field in fields(cls) if field.name != "populations"]
        return cls(populations, **{key: getattr(sample, key) for key in keys})


def lowest_noise(configured: float | None, schema: DataSchema) -> float:
    """Return the noise of the lowest level, chosen from what the data are where the configuration left it out."""
    chosen = LOWEST_NOISE_WHOLE if all(column.is_whole for column in schema.columns) else LOWEST_NOISE
    return configured or chosen
