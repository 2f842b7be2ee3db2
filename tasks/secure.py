"""What must be in the environment before Ray is imported, since Ray reads it only then."""

import os

SETTINGS = {
    "RAY_AUTH_MODE": "token",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # a checkpoint counts once the controller has looked
    "RAY_USAGE_STATS_ENABLED": "0",
}


def secure_ray() -> None:
    """Have Ray ask for a token everywhere; settings that are there already stay."""
    for key, value in SETTINGS.items():
        os.environ.setdefault(key, value)
