"""Ray Client, `ray://HOST:PORT`: it keeps no job, but says where the dashboard is, which takes the command."""

import ipaddress
import logging
import warnings
from urllib.parse import urlsplit

import ray

from pipelines.launchers import ray_jobs
from pipelines.launchers.ray_jobs import RayJobs
from tasks.errors import ServiceError
from tasks.redaction import redact
from tasks.secure import cluster_token


def launcher(to: str) -> RayJobs:
    """The head whose server for clients is at `to`."""
    cluster_token()  # Ray looks in the same places, and says less of what is missing
    return ray_jobs.launcher(f"http://{reachable(_dashboard_of(to), urlsplit(to).hostname or '')}")


def _dashboard_of(to: str) -> str:
    logging.getLogger("ray.client_builder").setLevel(logging.ERROR)  # which, as its warnings, says what we say
    try:
        with warnings.catch_warnings(action="ignore"), ray.init(to, log_to_driver=False) as head:
            return head.dashboard_url or ""
    except ConnectionError as error:
        message = f"no Ray takes clients with this token at {to}: start its head, open an ssh tunnel to it"
        raise ServiceError(f"{message}, or give its dashboard's address, http://HOST:8265") from error
    except (RuntimeError, ValueError) as error:  # other versions of Ray or Python there, or no address
        raise ServiceError(f"{to}: {redact(' '.join(str(error).split()))[:200]}") from error


def reachable(dashboard: str, host: str) -> str:
    """What the head calls loopback is where its clients are served, such as by a tunnel for both ports."""
    name, _, port = dashboard.rpartition(":")
    is_loopback = name == "localhost" or ipaddress.ip_address(name).is_loopback
    return f"{host}:{port}" if is_loopback else dashboard
