"""What must be in the environment before Ray is imported, since Ray reads it only then."""

import os

SETTINGS = {
    "RAY_AUTH_MODE": "token",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # a checkpoint counts once the controller has looked
    "RAY_USAGE_STATS_ENABLED": "0",
}
ON_LOOPBACK = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on every system the switch by which Ray's own address is 127.0.0.1
    "GLOO_SOCKET_IFNAME": "lo",
}


def secure_ray(is_own: bool) -> None:
    """Have Ray ask for a token everywhere, and a Ray of our own listen on loopback alone; what is set already stays."""
    for key, value in (SETTINGS | ON_LOOPBACK if is_own else SETTINGS).items():
        os.environ.setdefault(key, value)
