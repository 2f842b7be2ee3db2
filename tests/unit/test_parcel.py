"""What is sent of a folder, and what is not."""

import io
import subprocess
import zipfile
from pathlib import Path

import pytest

from scorefleet.pipelines import parcel
from scorefleet.pipelines.parcel import pack
from scorefleet.tasks.errors import UsageError


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def sent(folder: Path, left_out: tuple[str, ...] = (), also: tuple[str, ...] = ()) -> set[str]:
    """The user's own files, beside which scorefleet's code is."""
    packed = pack(folder, [folder / name for name in left_out], [folder / name for name in also], "canary")
    names = zipfile.ZipFile(io.BytesIO(packed.archive)).namelist()
    assert {
        f"scorefleet/{name}"
        for name in ("pipelines/cli.py", "tasks/reports/report.html.jinja", "tasks/mcmc/kernels/mala.py")
    } <= set(names)
    assert not [name for name in names if name.endswith(".pyc")]
    return {name for name in names if not name.startswith("scorefleet/")}


def test_code_is_sent_and_data_results_caches_and_secrets_are_not(tmp_path):
    write(tmp_path, "posterior.py", "deep/module.py", "config.yaml", "settings.json")
    write(tmp_path, "out/a.parquet", "rows.csv", "env/pyvenv.cfg", "env/lib/x.py", "runs/x", "deep/__pycache__/m.py")
    write(tmp_path, ".git/config", ".venv/x", ".env", ".aws/credentials", "my.pem", "auth_token", "a.log", "id_rsa")
    (tmp_path / "link").symlink_to(tmp_path / "settings.json")
    expected = {"posterior.py", "deep/module.py", "config.yaml", "settings.json"}
    assert sent(tmp_path, ("out", "rows.csv")) == expected


def test_what_git_ignores_is_not_sent_unless_it_is_the_configuration(tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    write(tmp_path, "posterior.py", "data/rows.csv", "mine.yaml")
    (tmp_path / ".gitignore").write_text("data/\nmine.yaml\n")
    assert sent(tmp_path, also=("mine.yaml",)) == {"posterior.py", ".gitignore", "mine.yaml"}


def test_the_same_files_are_the_same_bytes(tmp_path):
    write(tmp_path, "b.py", "a.py")
    first = pack(tmp_path, [], [], "canary").archive
    (tmp_path / "a.py").write_text("a.py")
    (tmp_path / "runs").mkdir()
    assert pack(tmp_path, [], [], "canary").archive == first
    (tmp_path / "a.py").chmod(0o755)
    assert pack(tmp_path, [], [], "canary").archive != first


def test_too_much_is_one_line_that_names_the_largest(tmp_path, monkeypatch):
    write(tmp_path, "small.py")
    (tmp_path / "large.bin").write_bytes(bytes(21 * 2**20))
    with pytest.raises(UsageError, match=r"largest is large\.bin \(21\.0 MB\)"):
        pack(tmp_path, [], [], "canary")
    monkeypatch.setattr(parcel, "MOST_FILES", 1)
    with pytest.raises(UsageError, match="more than 1 files"):
        pack(tmp_path, [], [], "canary")


def test_a_file_with_the_token_and_a_package_of_our_names_are_refused(tmp_path):
    write(tmp_path, "notes.txt")
    with pytest.raises(UsageError, match=r"notes\.txt holds the cluster's token"):
        pack(tmp_path, [], [], "notes")
    write(tmp_path, "scorefleet/mine.py")
    with pytest.raises(UsageError, match=r"scorefleet has the name of scorefleet's package"):
        pack(tmp_path, [], [], "canary")


def test_a_checkout_of_another_is_not_sent_with_what_git_ignores(tmp_path, monkeypatch):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    write(tmp_path, "posterior.py", "ignored.txt")
    (tmp_path / ".gitignore").write_text("ignored.txt\n")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(UsageError, match="git cannot list ignored files in"):
        sent(tmp_path)


def test_a_root_that_holds_the_folder_is_refused(tmp_path):
    write(tmp_path, "posterior.py")
    for place in (tmp_path, tmp_path.parent):
        with pytest.raises(UsageError, match="holds the folder that is sent"):
            pack(tmp_path, [place], [], "canary")
