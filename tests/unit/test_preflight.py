"""What a run would refuse at its end is refused before its first step, in a dry run too, and nothing is written."""

import pytest

from scorefleet.pipelines.ambient import unused
from scorefleet.pipelines.cli import main
from scorefleet.tasks import config
from scorefleet.tasks.config import commands
from scorefleet.tasks.errors import StorageError, UsageError
from scorefleet.tasks.fleet import capacity

RUN = ("run", "--data", "sklearn:wine")
SAMPLE = ("sample", "--target", "tests.tiny_density:log_density", "--dim", "2")


def refused(capsys, root, *words):
    """Return the exit code and the only line of a command that must fail, with and without --dry-run."""
    found = set()
    for flags in ((), ("--dry-run",)):
        code = main([*words, *flags, "--root", str(root)])
        out, err = capsys.readouterr()
        assert out == ""
        assert len(err.splitlines()) == 1, err
        found.add((code, err.strip()))
    assert len(found) == 1
    assert not root.exists() or list(root.iterdir()) == []
    return found.pop()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ((*RUN, "--register.alias", "latest"), 2, "register.alias must be"),
        ((*RUN, "--register.alias", "V7"), 2, "register.alias must be"),
        ((*RUN, "--register.alias", "best/one"), 2, "register.alias must be"),
        ((*RUN, "--register.alias", "a" * 256), 2, "register.alias must be"),
        ((*RUN, "--register.experiment", " "), 2, "register.experiment must be"),
        ((*RUN, "--register.experiment", "e" * 300), 2, "register.experiment must be"),
        ((*RUN, "--name", "n" * 300), 2, "name must be of 200 bytes at most"),
        ((*RUN, "--train.energy", "score_only", "--sample.kernel", "mala"), 2, "sample.kernel must be one of"),
        (
            (*RUN, "--train.energy", "score_only", "--sample.exchange_rounds", "4"),
            2,
            "sample.exchange_rounds must be 0",
        ),
        ((*RUN, "--sample.num_chains", str(10**18)), 2, "sample.num_chains must be"),
        ((*RUN, "--sample.num_chains", str(10**14)), 4, "GB free"),
        ((*RUN, "--sample.block_size", str(10**13)), 2, "sample.block_size must be at most"),
        ((*SAMPLE, "--num-chains", str(10**18)), 2, "num_chains must be"),
        ((*SAMPLE, "--num-draws", str(2**31)), 2, "num_draws must be"),
        ((*SAMPLE, "--num-chains", str(10**14), "--num-draws", str(10**9)), 2, "numbers, of which a store has"),
        ((*SAMPLE, "--num-chains", str(10**13)), 4, "GB free"),
        ((*SAMPLE, "--block-size", str(2**22), "--dim", "100000", "--num-draws", "1"), 2, "GB of memory"),
    ],
)
def test_what_no_step_could_do_is_refused_first(capsys, tmp_path, words, code, says):
    found, line = refused(capsys, tmp_path / "root", *words)
    assert found == code, line
    assert says in line


@pytest.mark.parametrize("name", ["a?b", "a%20b"])
def test_a_root_that_mlflow_cannot_read_is_refused_first(capsys, tmp_path, name):
    assert refused(capsys, tmp_path / name, *SAMPLE)[0] == 2


def test_a_summary_that_is_a_folder_or_in_none_is_refused_first(capsys, tmp_path):
    assert "is a folder" in refused(capsys, tmp_path / "root", *SAMPLE, "--summary", str(tmp_path))[1]
    assert "is in no folder" in refused(capsys, tmp_path / "root", *SAMPLE, "--summary", str(tmp_path / "a" / "b"))[1]


def test_places_that_are_files_or_below_one_are_refused_first(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    for place in ("file", "file/below"):
        code = main([*SAMPLE, "--dry-run", "--root", str(tmp_path / place)])
        assert (code, "is a file" in capsys.readouterr().err) == (4, True)
        assert refused(capsys, tmp_path / "root", *SAMPLE, "--store", str(tmp_path / place))[0] == 4


def test_an_alias_of_rollback_is_checked_too(capsys, tmp_path):
    assert main(["rollback", "digits", "--alias", "latest", "--root", str(tmp_path)]) == 2
    assert "register.alias must be" in capsys.readouterr().err


def test_room_is_what_the_disk_has_and_what_is_kept_already(tmp_path, monkeypatch):
    chains = config.Chains("a:b", dim=10, num_chains=100, num_draws=1000)
    capacity.require_room(chains, 10, 8, str(tmp_path), True)
    monkeypatch.setattr(capacity, "free_bytes", lambda folder: 3_900_000)
    with pytest.raises(StorageError, match=r"100 chains of 1,000 draws in 10 dimensions need 0.004 GB at least"):
        capacity.require_room(chains, 10, 8, str(tmp_path), True)
    (tmp_path / "kept.parquet").write_bytes(bytes(200_000))
    capacity.require_room(chains, 10, 8, str(tmp_path), True)
    with pytest.raises(UsageError, match=r"a store has 9.2e18"):
        capacity.require_room(chains, 2**50, 8, str(tmp_path), False)


def test_settings_of_other_tools_that_decide_nothing_are_named_and_their_values_are_not():
    names = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_REGISTRY_URI", "MLFLOW_RUN_ID", "RAY_ADDRESS")
    environment = dict.fromkeys(names, "http://me:canary@host") | {"HOME": "/", "AWS_PROFILE": "x", "RAY_NAMESPACE": ""}
    lines = list(unused(commands.Run(), environment))
    assert [line.partition(" ")[0] for line in lines] == sorted(names)
    assert not any("canary" in line for line in lines)
    register = config.Register(tracking_uri="http://here", experiment="mine")
    told = commands.Run(register=register, cluster=config.Cluster("auto"), store="s3://bucket/path")
    lines = list(unused(told, environment))
    assert [line.partition(" ")[0] for line in lines] == ["AWS_PROFILE", "MLFLOW_REGISTRY_URI", "MLFLOW_RUN_ID"]
