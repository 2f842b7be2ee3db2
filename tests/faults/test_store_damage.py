"""Stores that are really damaged, from seeded schedules: each damage is named, and repaired to the same bytes."""

import json
import random
import shutil
from pathlib import Path

import pytest

from scorefleet.pipelines.cli import main
from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.store import document, objects
from scorefleet.tasks.store.proven import read_description, read_manifest
from scorefleet.tasks.store.shards import from_parquet
from scorefleet.tasks.store.verify import verify

SEED, NUM_FLIPS = 20260, 300
KINDS = ("model", "target")


def files_of(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def places(folder: Path) -> list[str]:
    """One file of each kind as likely as another, so that small ones are hit as well."""
    return sorted({name.partition("/")[0] for name in files_of(folder)})


def a_file(folder: Path, place: str, clock: random.Random) -> Path:
    path = folder / place
    return clock.choice(sorted(path.iterdir())) if path.is_dir() else path


def repair(folder: Path, tiny_folders: dict[str, Path], kind: str) -> int:
    words = ["--model", str(tiny_folders["model"] / "model")] if kind == "model" else []
    return main(["repair", str(folder), *words])


@pytest.mark.parametrize("kind", KINDS)
def test_every_bit_that_flips_is_found_where_it_did(tiny_copy, kind):
    folder, clock = tiny_copy(kind), random.Random(SEED)
    for number in range(NUM_FLIPS // len(KINDS)):
        path = a_file(folder, clock.choice(places(folder)), clock)
        whole = path.read_bytes()
        bit = clock.randrange(8 * len(whole))
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        named = [finding.what for finding in verify(str(folder)).findings]
        assert named == [str(path.relative_to(folder))], f"seed {SEED}, flip {number}, bit {bit} of {path.name}"
        path.write_bytes(whole)
    assert verify(str(folder)).is_whole


def test_dataset_json_cut_at_any_byte_is_found(tiny_copy):
    folder = tiny_copy("target")
    whole = (folder / "dataset.json").read_bytes()
    for length in range(len(whole)):
        with pytest.raises(StorageError) as caught:
            document.unseal("dataset.json", whole[:length])
        assert "\n" not in str(caught.value)
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        (folder / "dataset.json").write_bytes(whole[:length])
        (finding,) = verify(str(folder)).findings
        assert (finding.kind, finding.what) == ("damaged", "dataset.json")


def test_the_manifest_cut_at_any_byte_is_found_and_made_again(tiny_copy, tiny_folders):
    folder = tiny_copy("target")
    store = objects.open_store(str(folder), writable=False)
    description, whole = read_description(store), (folder / "manifest.parquet").read_bytes()
    for length in range(len(whole)):
        with pytest.raises(StorageError):  # as Arrow sees it, if its sha256 had been made to fit
            from_parquet(whole[:length])
    for length in (*range(0, len(whole), 997), len(whole) - 1):
        (folder / "manifest.parquet").write_bytes(whole[:length])
        with pytest.raises(StorageError, match="sha256"):
            read_manifest(store, description)
    assert [str(finding) for finding in verify(str(folder)).findings] == [
        "damaged: manifest.parquet: its sha256 is not the recorded one"
    ]
    assert repair(folder, tiny_folders, "target") == 0
    assert (folder / "manifest.parquet").read_bytes() == whole


def deleted(path, clock):
    path.unlink()


def emptied(path, clock):
    path.write_bytes(b"")


def cut(path, clock):
    path.write_bytes(path.read_bytes()[: clock.randrange(path.stat().st_size)])


def swapped(path, clock):
    other = clock.choice([other for other in sorted(path.parent.iterdir()) if other != path])
    mine, its = path.read_bytes(), other.read_bytes()
    path.write_bytes(its)
    other.write_bytes(mine)


def linked(path, clock):
    kept = path.parents[2] / f"kept-{clock.random()}"
    path.rename(kept)
    path.symlink_to(kept)


def copied(path, clock):
    block, rest = path.name[:6], path.name[6:]
    shutil.copy(path, path.with_name(f"{int(block) + 7:06}{rest}"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("harm", [deleted, emptied, cut, swapped, linked, copied])
def test_each_harm_is_named_and_repaired_to_the_same_bytes(tiny_copy, tiny_folders, kind, harm, capsys):
    folder, seed = tiny_copy(kind), SEED + len(harm.__name__)
    clock, before = random.Random(seed), files_of(folder)
    harmed = ["shards"] if harm is copied else ["shards", "states", "commits"]
    for place in harmed:
        harm(a_file(folder, place, clock), clock)
    found = {finding.what for finding in verify(str(folder)).findings}
    is_link = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink()}
    now = {name: data for name, data in files_of(folder).items() if name not in is_link}
    assert found == {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}, f"seed {seed}"
    assert repair(folder, tiny_folders, kind) == 0, capsys.readouterr().err
    assert files_of(folder) == before
    assert not any(path.is_symlink() for path in folder.rglob("*"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_that_has_lost_all_but_its_records_is_made_again(tiny_copy, tiny_folders, kind):
    folder = tiny_copy(kind)
    before = files_of(folder)
    for name in ("shards", "states"):
        shutil.rmtree(folder / name)
    (folder / "warm.safetensors").unlink(missing_ok=True)
    assert repair(folder, tiny_folders, kind) == 0
    assert files_of(folder) == before


def test_what_no_replay_brings_back_is_refused_in_one_line(tiny_copy, capsys):
    folder = tiny_copy("target")
    (folder / "dataset.json").unlink()
    assert main(["repair", str(folder)]) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be repaired: missing: dataset.json" in line


def test_rows_that_come_out_otherwise_are_not_kept(tiny_copy, capsys):
    """The recorded digests are right, and the replay draws from another stream: nothing may be written."""
    folder = tiny_copy("target")
    described = json.loads((folder / "dataset.json").read_bytes())
    described.pop(document.SEAL)
    described["program"]["seed"] += 1
    (folder / "dataset.json").write_bytes(document.seal(described))
    shard = sorted((folder / "shards").iterdir())[4]
    shard.unlink()
    assert main(["repair", str(folder)]) == 4
    assert "block 1 segment 1 came out with other rows" in capsys.readouterr().err
    assert not shard.exists()
