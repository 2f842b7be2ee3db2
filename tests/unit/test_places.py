"""A path or URI names one place, or is refused in a line that says what to write."""

from pathlib import Path

import pytest

from scorefleet.pipelines.cli import main
from scorefleet.tasks.errors import UsageError
from scorefleet.tasks.store.places import folder_of, place_of

REFUSED = {
    "": "names no folder",
    "  ": "names no folder",
    "a\0b": "names no folder",
    "file://host/path": "a folder of the machine 'host': write file:///host/path",
    "file://data/x.csv": "write file:///data/x.csv",
    "FILE://host/path": "of the machine 'host'",
    "https://example.org/x.csv": "https:// cannot be opened: copy it here first",
    "http://example.org": "http:// cannot be opened",
    "hdfs://name/path": "hdfs:// cannot be opened",
    "gs://bucket/path": "gs:// cannot be opened",
    "abfss://c@a.dfs.core.windows.net/p": "abfss:// cannot be opened",
    "s3:/bucket/path": "write s3://bucket/path for a bucket",
    "S3://bucket/path": "write s3://bucket/path for a bucket",
    "s3:///bucket/path": "it must be s3://BUCKET/PATH",
    "gs:/bucket": "write ./gs:/bucket if it is a folder",
    "~/runs": "the shell did not expand: write $HOME/runs",
    "~": "write $HOME or",
    "~other/runs": "did not expand",
    "C:\\Users\\x": "a path of Windows",
    "c:/data": "a path of Windows",
    "\\\\server\\share": "a path of Windows",
}


def test_a_link_to_itself_is_no_place(tmp_path, capsys):
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(UsageError, match="leads nowhere, such as a link to itself"):
        folder_of(str(tmp_path / "link" / "more"))
    assert main(["verify", str(tmp_path / "link")]) in (2, 4)
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(("uri", "reason"), REFUSED.items())
def test_what_names_no_place_here_is_refused(uri, reason):
    with pytest.raises(UsageError) as error:
        place_of(uri)
    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///data/a%20b", "/data/a b"),
        ("file://localhost/data", "/data"),
        ("file:/data", "/data"),
        ("file:///tmp/a?b#c", "/tmp/a?b#c"),
        ("/tmp/a%20b?#x:/y", "/tmp/a%20b?#x:/y"),
        ("/data/a:b/c", "/data/a:b/c"),
        ("./s3:/x", str(Path.cwd() / "s3:/x")),
        ("2026-11-30T12:00", str(Path.cwd() / "2026-11-30T12:00")),
        ("s3://bucket/path/", "s3://bucket/path"),
    ],
)
def test_what_names_a_place_names_one(uri, path):
    assert place_of(uri) == path


def test_a_bucket_is_no_folder():
    with pytest.raises(UsageError, match="only a folder can be here"):
        folder_of("s3://bucket/path")


@pytest.mark.parametrize(
    "words",
    [
        ("verify", "{uri}"),
        ("run", "--data", "sklearn:wine", "--root", "{uri}"),
        ("run", "--data", "{uri}", "--root", "root"),
        ("sample", "--target", "tests.tiny_density:log_density", "--dim", "2", "--root", "root", "--store", "{uri}"),
    ],
)
def test_every_option_that_names_a_place_is_checked_before_anything_is_written(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for uri in ("file://host/path", "hdfs://host/path", "~/x", "s3:/b/x"):
        assert main([word.format(uri=uri) for word in words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"scorefleet: {uri.partition('/')[0]}"), line
    assert [*tmp_path.iterdir()] == []
