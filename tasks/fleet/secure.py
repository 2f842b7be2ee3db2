"""What must be in the environment before Ray is imported, since Ray reads it only then."""

import os
from pathlib import Path

from scorefleet.tasks.errors import UsageError
from scorefleet.tasks.fleet.ray_folder import require_room_for_ray
from scorefleet.tasks.home import home_folder

SETTINGS = {
    "RAY_AUTH_MODE": "token",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # a checkpoint counts once the controller has looked
    "RAY_TRAIN_PREEMPTION_POLL_INTERVAL_S": "1",  # a node may go two minutes after its notice, or half of one
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "20",  # then it is asked anew which nodes there are
    "RAY_USAGE_STATS_ENABLED": "0",
}
ON_LOOPBACK = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on every system the switch by which Ray's own address is 127.0.0.1
}


def secure_ray(is_own: bool) -> None:
    """Have Ray ask for a token everywhere, and a Ray of our own listen on loopback alone; what is set already stays.
    `UsageError` where one of our own could not start.
    """
    if is_own:
        require_room_for_ray()
    for key, value in (SETTINGS | ON_LOOPBACK if is_own else SETTINGS).items():
        os.environ.setdefault(key, value)


def cluster_token() -> str:
    """The token of a cluster, where Ray looks for it: RAY_AUTH_TOKEN, the file RAY_AUTH_TOKEN_PATH, ~/.ray/auth_token.
    A file that others may read is refused.
    """
    given = os.environ.get("RAY_AUTH_TOKEN")
    if given:
        return given
    file = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or home_folder() / ".ray" / "auth_token")
    try:
        mode, token = file.stat().st_mode, file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UsageError(
            f"no token in {file} ({error.strerror}): copy the cluster's there with mode 600, or set RAY_AUTH_TOKEN"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not text, and so no token: copy the cluster's there with mode 600") from error
    if mode & 0o077:
        raise UsageError(f"{file} can be read by others, and so the cluster be used: chmod 600 {file}")
    if not token:
        raise UsageError(f"{file} is empty: copy the token of the cluster there")
    return token
