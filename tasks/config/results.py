"""How draws are judged, shown and recorded, and when a model is replaced."""

from dataclasses import dataclass

from scorefleet.tasks.config.allowed import ALIAS, require


@dataclass(frozen=True)
class Evaluate:
    """Judge the chains and the draws."""

    false_alarm_rate: float = 1e-3
    """Probability that a test of converged chains says they are not; shared by the tests of one verdict."""

    def __post_init__(self) -> None:
        require(0 < self.false_alarm_rate < 0.5, "evaluate.false_alarm_rate", self.false_alarm_rate, "in (0, 0.5)")


@dataclass(frozen=True)
class Register:
    """Record the model in MLflow."""

    tracking_uri: str | None = None
    """MLflow tracking server; a sqlite file under the root when not given."""
    experiment: str = "scorefleet"
    """MLflow experiment of the runs."""
    alias: str = "champion"
    """Alias of the version in use: the first whose chains converged has it until `retrain` finds a better one."""

    def __post_init__(self) -> None:
        is_alias = ALIAS.fullmatch(self.alias) is not None
        allowed = "up to 255 letters, digits, - and _, and neither latest nor v and a number, which MLflow keeps"
        require(is_alias, "register.alias", self.alias, allowed)
        is_name = bool(self.experiment.strip()) and len(self.experiment) <= 256 and self.experiment.isprintable()
        require(is_name, "register.experiment", self.experiment, "a name of 1 to 256 characters")


@dataclass(frozen=True)
class Report:
    """Draw the page that shows the result."""

    num_images: int = 100
    """Rows of data and draws shown side by side."""

    def __post_init__(self) -> None:
        require(1 <= self.num_images <= 400, "report.num_images", self.num_images, "from 1 to 400")


@dataclass(frozen=True)
class Retrain:
    """Train a challenger of the champion (`scorefleet retrain`)."""

    warm_steps: int | None = None
    """Optimiser steps of a challenger that starts from the champion's weights; when not given it starts afresh, with
    train.num_steps."""

    def __post_init__(self) -> None:
        require(self.warm_steps is None or self.warm_steps >= 1, "retrain.warm_steps", self.warm_steps, "at least 1")
