"""A team's server: MLflow that asks for a password, PostgreSQL behind it, and a bucket of Ceph's for artifacts; and an
API that speaks as Kubernetes's.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from xdist.scheduler import LoadScopeScheduling

from tests import ceph, kubernetes_api, mlflow_server, postgres
from tests.integration import tiny

BUCKET = "models"
WAITING = ("test_slurm_schedule", "test_kubernetes", "test_kubernetes_schedule", "test_kubernetes_submitter")
"""Files whose tests wait for the clock or start single commands, next to which a cluster at work has cores enough."""


class Groups(LoadScopeScheduling):
    """Two groups, each run one test at a time: two clusters at work on two cores are slower than their patience."""

    def _split_scope(self, nodeid: str) -> str:
        return "waiting" if Path(nodeid.partition("::")[0]).stem in WAITING else "working"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Groups:
    """The marks of `--dist loadgroup` are lost on the way in xdist 3.8 with pytest 9.2."""
    return Groups(config, log)


@dataclass(frozen=True)
class Team:
    """What there is, and what `maker`, a member of the team, sets to get to the server."""

    server: mlflow_server.Server
    database: postgres.Postgres
    bucket: ceph.Ceph
    maker: dict[str, str]

    @property
    def environment(self) -> dict[str, str]:
        """Of a command of that member."""
        return tiny.clean_environment() | self.maker

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What the database of runs and models holds, asked past MLflow."""
        where = {"host": "127.0.0.1", "port": self.database.port, "password": self.database.password}
        with closing(psycopg2.connect(user=postgres.USER, dbname=mlflow_server.RUNS, **where)) as connection:
            cursor = connection.cursor()
            cursor.execute(sql)
            return cursor.fetchall()

    def points(self, run_key: str) -> list[tuple[str, int]]:
        """Each row of a metric, as (metric, step), of all runs that are the run of that key."""
        made = f"SELECT run_uuid FROM tags WHERE key = 'scorefleet.run' AND value = '{run_key}'"
        return self.rows(f"SELECT key, step FROM metrics WHERE run_uuid IN ({made})")

    def num_runs(self, run_key: str) -> int:
        """How often the run of that key was made."""
        return self.rows(f"SELECT count(*) FROM tags WHERE key = 'scorefleet.run' AND value = '{run_key}'")[0][0]


@pytest.fixture(scope="session")
def team(ceph_daemons: ceph.Ceph, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    missing = postgres.missing()
    if missing:
        pytest.skip(f"PostgreSQL is not installed ({', '.join(missing)}): apt-get install {postgres.PACKAGES[0]}")
    folder = tmp_path_factory.mktemp("team")
    ceph.make_bucket(ceph_daemons.endpoint, BUCKET)
    to_bucket = ceph.environment(ceph_daemons.endpoint)
    with (
        postgres.running(folder / "pgpass") as database,
        mlflow_server.running(folder, database, BUCKET, to_bucket) as server,
    ):
        yield Team(server, database, ceph_daemons, server.add_user("maker"))


@pytest.fixture
def as_maker(team: Team, monkeypatch: pytest.MonkeyPatch) -> Team:
    """The team, of which this process is a member."""
    for name, value in team.maker.items():
        monkeypatch.setenv(name, value)
    return team


@pytest.fixture
def api(tmp_path: Path) -> Iterator[kubernetes_api.Kubernetes]:
    """Kubernetes' API, and beside its folder one of the user's, `mine`, with the RayJob that ships."""
    (tmp_path / "api").mkdir()
    (tmp_path / "mine").mkdir()
    template = Path(__file__).parents[2] / "deploy" / "kubernetes" / "rayjob.yaml"
    (tmp_path / "mine" / "rayjob.yaml").write_text(template.read_text())
    with kubernetes_api.running(tmp_path / "api") as kubernetes:
        yield kubernetes
