"""Somebody without a cluster's token: `python -m tests.clusters.stranger HOST:PORT ...` asks every port for everything.

As JSON it says for each place what was refused, and what was not: a path or call, and the answer.
"""

import http.client
import importlib
import json
import pkgutil
import sys
from collections.abc import Iterator, Sequence

import grpc
import ray.core.generated

TOKENS = (None, "0" * 64)
ANSWER_TIMEOUT_S = 20
PATHS = (
    ("GET", "/api/jobs/"),
    ("POST", "/api/jobs/"),
    ("GET", "/api/job_agent/jobs/"),
    ("POST", "/api/job_agent/jobs/"),
    ("DELETE", "/api/job_agent/jobs/any"),
    ("GET", "/logs/"),
    ("GET", "/nodes"),
    ("POST", "/get_or_create_runtime_env"),
    ("POST", "/delete_runtime_env_if_possible"),
)
NOT_IN_PYTHON = (
    "/ray.rpc.ObjectManagerService/Push",
    "/ray.rpc.ObjectManagerService/Pull",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
)
"""Calls of which Ray's Python has no description."""

REFUSALS = ("401", "403", "UNAUTHENTICATED")
NOT_THERE = "UNIMPLEMENTED"


def main(places: Sequence[str]) -> None:
    """Ask."""
    calls = [*NOT_IN_PYTHON, *_calls()]
    answers = {place: [*(_http(place) or _grpc(place, calls))] for place in places}
    print(
        json.dumps(
            {
                place: {
                    "num_refused": sum(answer in REFUSALS for _, answer in found),
                    "not_refused": sorted({(what, answer) for what, answer in found if answer not in REFUSALS}),
                }
                for place, found in answers.items()
            }
        )
    )


def _http(place: str) -> list[tuple[str, str]]:
    """What is asked, and the status; nothing where that speaks no HTTP."""
    found: list[tuple[str, str]] = []
    for token in TOKENS:
        for method, path in PATHS:
            connection = http.client.HTTPConnection(place, timeout=ANSWER_TIMEOUT_S)
            try:
                connection.request(method, path, b"{}", {"Authorization": f"Bearer {token}"} if token else {})
                found.append((f"{method} {path}", str(connection.getresponse().status)))
            except http.client.BadStatusLine:
                return []
            finally:
                connection.close()
    return found


def _grpc(place: str, calls: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each call that is known there, and the name of its answer."""
    with grpc.insecure_channel(place) as channel:
        for name in calls:
            for token in TOKENS:
                call = channel.unary_unary(name, request_serializer=None, response_deserializer=None)
                try:
                    call(b"", ANSWER_TIMEOUT_S, (("authorization", f"Bearer {token}"),) if token else ())
                    yield name, "OK"
                except grpc.RpcError as error:
                    answer = error.code().name  # pyright: ignore[reportAttributeAccessIssue]
                    if answer != NOT_THERE:
                        yield name, answer


def _calls() -> Iterator[str]:
    """Every remote call of every service that Ray's Python knows."""
    for module in pkgutil.iter_modules(ray.core.generated.__path__):
        if module.name.endswith("_pb2"):
            file = importlib.import_module(f"ray.core.generated.{module.name}").DESCRIPTOR
            for service in file.services_by_name.values():
                yield from (f"/{service.full_name}/{method.name}" for method in service.methods)


if __name__ == "__main__":
    main(sys.argv[1:])
