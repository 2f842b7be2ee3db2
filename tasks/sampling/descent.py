"""What the step `normalise` is given, known without torch."""

from dataclasses import dataclass, fields

from scorefleet.tasks import config


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
