"""MLflow as a team runs it: passwords, PostgreSQL, a bucket, many runs at once, and outages that lose nothing."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import obstore
import pytest

from scorefleet.tasks import config
from scorefleet.tasks.records.tracking_server import PROBE_TIMEOUT_S, connect
from scorefleet.tasks.registry.alias import Registry, promote
from scorefleet.tasks.store import objects
from tests import ceph, mlflow_server
from tests.clusters.conftest import BUCKET, Team
from tests.clusters.watching import Watch, watching
from tests.integration import tiny

pytestmark = pytest.mark.timeout(600)

MIRROR_TIMEOUT_S = 10  # of scorefleet.pipelines.runner, whose import brings Ray
REMEDY = "start it, or leave register.tracking_uri out to record in a file under the root"


@dataclass(frozen=True)
class First:
    """The first run of the team, and what it showed while it lasted."""

    root: Path
    said: str
    watch: Watch


def command(name: str, team: Team, root: Path, **changes: str) -> list[str]:
    """Of which the first run alone needs a Ray."""
    return tiny.command(name, root, register__tracking_uri=team.server.uri, **{"cluster__num_actors": "0"} | changes)


def call(words: list[str], team: Team, **environment: str) -> subprocess.CompletedProcess[str]:
    """As a member of the team does it: what gets to the server is in the environment."""
    return subprocess.run(words, env=team.environment | environment, capture_output=True, text=True, check=False)


def line_of(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The last line of a command that must end with this code."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def timed(words: list[str], team: Team) -> tuple[str, float]:
    """The last line of a command that must end with 5, and how long it was there since it began to register."""
    said, begun = [""], 0.0
    with subprocess.Popen(words, env=team.environment, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr or ():
            said.append(line)
            begun = time.monotonic() if line.startswith("register started") else begun
    assert process.returncode == 5, said
    return said[-1].strip(), time.monotonic() - begun


@pytest.fixture(scope="module")
def first(team: Team, tmp_path_factory: pytest.TempPathFactory) -> First:
    root = tmp_path_factory.mktemp("first")
    with watching() as watch:
        done = call(command("run", team, root, cluster__num_actors="2"), team, **watch.environment)
    assert done.returncode == 0, done.stderr
    return First(root, done.stderr + done.stdout, watch)


def in_bucket(team: Team, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """All that lies in the bucket, which the team's members have no key of."""
    for name, value in ceph.environment(team.bucket.endpoint).items():
        monkeypatch.setenv(name, value)
    store = objects.open_store(f"s3://{BUCKET}", writable=False)
    return {path: obstore.get(store, path).bytes().to_bytes() for path in objects.names(store)}


def require_whole(team: Team, root: Path) -> None:
    """Every run of a root once, and every point of its journal once."""
    for journal in (root / "journal").glob("*.jsonl"):
        entries = map(json.loads, journal.read_text().splitlines())
        points = {(key, entry["step"]) for entry in entries if entry["kind"] == "metrics" for key in entry["values"]}
        assert team.num_runs(journal.stem) == 1
        assert sorted(team.points(journal.stem)) == sorted(points)


def numbers(team: Team) -> dict[str, str]:
    """The aliases."""
    aliases = connect(team.server.uri).get_registered_model("tiny").aliases
    return {alias: str(number) for alias, number in aliases.items()}


def test_a_run_is_registered_with_its_alias_and_its_files_lie_in_the_bucket(as_maker, first, monkeypatch):
    client = connect(as_maker.server.uri)
    version = client.get_model_version("tiny", numbers(as_maker)["champion"])
    files = in_bucket(as_maker, monkeypatch)
    weights = {path: data for path, data in files.items() if path.endswith("weights.safetensors")}
    assert next(first.root.glob("train/*/weights.safetensors")).read_bytes() in weights.values()
    assert [path for path in files if path.endswith(f"{version.run_id}/artifacts/report/report.html")]
    run = client.get_run(version.run_id)
    assert (run.info.status, run.data.tags["model_digest"]) == ("FINISHED", version.tags["model_digest"])
    require_whole(as_maker, first.root)


def test_nothing_of_a_run_listens_for_others_but_the_meeting_place_of_torch(first):
    assert first.watch.num_listening > 0
    for process in first.watch.open_to_others:
        assert any(command.startswith("ray::RayTrainWorker") for command in first.watch.commands[process])


def test_no_secret_is_in_what_a_run_leaves_or_shows(team, first, monkeypatch):
    commands = set().union(*first.watch.commands.values())
    (session,) = {match[1] for one in commands if (match := re.search(r"--session-dir=(\S+)", one))}
    left = {str(path): path.read_bytes() for path in files_below(first.root, Path(session))}
    left |= in_bucket(team, monkeypatch)
    left |= {"runs": team.database.dump(mlflow_server.RUNS).encode()}
    left |= {"users": team.database.dump(mlflow_server.USERS).encode()}
    left |= {
        "server's log": team.server.log.read_bytes(),
        "words": "\n".join(commands | first.watch.others).encode(),
    }
    left |= {"said": first.said.encode()}
    assert any(b"tiny" in left[name] for name in ("runs", "words"))
    secrets = [*team.maker.values(), team.server.admin[1], team.database.password, ceph.SECRET_KEY]
    secrets.remove("maker")
    assert [name for name, data in left.items() if any(secret.encode() in data for secret in secrets)] == []


def files_below(*folders: Path) -> Iterator[Path]:
    """Files, and no sockets."""
    return (path for folder in folders for path in folder.rglob("*") if path.is_file())


def test_another_root_draws_by_the_alias_and_retrain_sees_the_champion(team, first, tmp_path):
    """The one with MLflow's own file of credentials, the other with variables."""
    credentials = tmp_path / "home" / ".mlflow" / "credentials"
    credentials.parent.mkdir(parents=True)
    credentials.touch(0o600)
    credentials.write_text("\n".join(["[mlflow]", *(f"{key.lower()} = {value}" for key, value in team.maker.items())]))
    model = {"model": "models:/tiny@champion", "num_samples": "64", "sample__num_draws": "1"}
    words, home = command("generate", team, tmp_path / "other", **model), {"HOME": str(tmp_path / "home")}
    done = subprocess.run(words, env=tiny.clean_environment() | home, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 6), done.stderr
    assert list((tmp_path / "other").glob("sample/*/*/shards/*.parquet"))
    words = ["retrain" if word == "run" else word for word in command("run", team, first.root)]
    assert line_of(call(words, team), 0).startswith("nothing new: data and configuration are those of the champion")


def test_a_model_is_registered_once_whatever_was_away_and_can_be_rolled_back(
    as_maker, first, tmp_path, record_property
):
    team, words, summary = as_maker, command("run", as_maker, first.root, sample__num_chains="80"), tmp_path / "s.json"
    team.server.signal(signal.SIGSTOP)  # so what is done meanwhile waits for no answer
    line, waited_s = timed([*words, "--summary", str(summary)], team)
    assert line == f"scorefleet: no MLflow server answers at {team.server.uri}: {REMEDY}"
    steps = json.loads(summary.read_text())["steps"]
    assert ("report" in steps, "register" in steps) == (True, False)
    assert waited_s < 2 * (PROBE_TIMEOUT_S + steps["report"]["seconds"] + MIRROR_TIMEOUT_S)
    record_property("stalled_s", waited_s)
    team.server.kill()
    team.server.start()

    team.bucket.stop("radosgw")
    line, waited_s = timed(words, team)
    assert re.fullmatch(r"scorefleet: MLflow at http://127.0.0.1:\d+ failed: .*; once that is mended, .* goes on", line)
    record_property("without_bucket_s", waited_s)
    team.bucket.start_gateway()
    assert call(words, team).returncode in (0, 6)
    made = team.rows("SELECT value FROM model_version_tags WHERE name = 'tiny' AND key = 'scorefleet.key'")
    assert (len(made), len(set(made))) == (2, 2)
    require_whole(team, first.root)

    registry = Registry(config.Register(tracking_uri=team.server.uri), "tiny", first.root)
    assert promote(registry, "1", "2") == "2"
    words = [sys.executable, "-m", "scorefleet", "rollback", "tiny", "--tracking-uri", team.server.uri]
    assert call([*words, "--root", str(tmp_path)], team).stdout.startswith("models:/tiny/1 is the champion again")
    assert numbers(team) == {"champion": "1"}
