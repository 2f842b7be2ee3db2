"""What a user's function reads is in its digest, whichever way it reads it, and nothing else is."""

import os
import sqlite3
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from scorefleet.tasks import config
from scorefleet.tasks.errors import DataError, UsageError
from scorefleet.tasks.user_code import density, inputs, reads

HEAD = """
import contextlib, glob, importlib, os, sqlite3
from functools import cache
from pathlib import Path

import numpy as np
import torch
from pyarrow.parquet import read_table

HERE = Path(__file__).parent

def missing():
    try:
        return Path("missing.csv").read_text()
    except OSError:
        return None

def database():
    with contextlib.closing(sqlite3.connect("y.db")) as connection:
        return connection.execute("select a from t").fetchone()[0]

"""
RETURN = """

def log_density(x):
    return -0.5 * ((x - float(y)) ** 2).sum(1)
"""
SCRIPTED = """
try:
    y = torch.jit.load('y.csv')
except (RuntimeError, DeprecationWarning):
    y = 1
"""
READERS = {
    "open": ("y.csv", "y = Path('y.csv').read_text()"),
    "numpy": ("y.csv", "y = np.loadtxt('y.csv')"),
    "next to the module": ("y.csv", "y = (HERE / 'y.csv').read_text()"),
    "a link": ("link.csv", "y = Path('link.csv').read_text()"),
    "exec": ("more.py", "exec(Path('more.py').read_text())"),
    "a module named when code runs": ("plugin.py", "y = importlib.import_module('plu' + 'gin').y"),
    "memory map": ("y.bin", "y = np.memmap('y.bin', dtype='float64', shape=(1,))[0]"),
    "numpy file": ("y.npy", "y = np.load('y.npy').sum()"),
    "torch": ("y.pt", "y = torch.load('y.pt')"),
    "TorchScript, without an audit event": ("y.csv", SCRIPTED),
    "a database": ("y.db", "y = database()"),
    "arrow, without an audit event": ("y.parquet", "y = read_table('y.parquet')[0][0].as_py()"),
    "arrow, by a formatted name": ("y1.parquet", "y = read_table(f'y{1}.parquet')[0][0].as_py()"),
    "a file of a folder": ("many/b.csv", "y = sum(float(Path(p).read_text()) for p in glob.glob('many/*.csv'))"),
    "a file that is not there yet": ("missing.csv", "y = missing() or 1"),
}

NAMES = (
    "y.csv",
    "y.bin",
    "y.npy",
    "y.pt",
    "y.db",
    "y.parquet",
    "y1.parquet",
    "more.py",
    "plugin.py",
    "many/b.csv",
)


def write(path, number):
    """The same number, in the format of the file."""
    if path.suffix == ".parquet":
        pa.parquet.write_table(pa.table({"a": [float(number)]}), path)
    elif path.suffix == ".npy":
        np.save(path, np.full(1, float(number)))
    elif path.suffix == ".bin":
        np.full(1, float(number)).tofile(path)
    elif path.suffix == ".pt":
        import torch

        torch.save(float(number), path)
    elif path.suffix == ".db":
        connection = sqlite3.connect(path)
        connection.executescript(f"drop table if exists t; create table t(a); insert into t values({number})")
        connection.close()
    else:
        path.write_text(f"y = {number}\n" if path.suffix == ".py" else f"{number}\n")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "many").mkdir()
    for name in NAMES:
        write(tmp_path / name, 1)
    (tmp_path / "target.csv").write_text("1\n")
    (tmp_path / "link.csv").symlink_to("target.csv")
    yield tmp_path
    for name in ("read_density", "plugin"):
        sys.modules.pop(name, None)


def observed(source, dim=2):
    Path("read_density.py").write_text(HEAD + source + RETURN)
    return density.observe(config.Chains(target="read_density:log_density", dim=dim))


@pytest.mark.parametrize("reader", READERS)
def test_a_file_that_changes_changes_the_digest_and_is_named(folder, reader):
    name, source = READERS[reader]
    before = observed(source)
    assert name in before.reads or f"module {name[:-3]}" in before.reads
    assert reads.changes(before.reads) == []
    write(folder / name, 2)
    (change,) = reads.changes(before.reads)
    assert Path(name).stem in change
    assert observed(source).digest != before.digest


@pytest.mark.parametrize("reader", READERS)
def test_the_digest_is_the_same_as_long_as_no_file_changes(reader):
    before = observed(READERS[reader][1])
    inputs._seen.clear()
    sys.modules.pop("plugin", None)
    assert observed(READERS[reader][1]).digest == before.digest


@pytest.mark.parametrize("lookup", ["os.environ['USER_SCALE']", "os.environb[b'USER_SCALE']", "os.getenv('TERM_X', 1)"])
def test_a_variable_whose_name_begins_as_that_of_a_process_does_is_in_the_digest(monkeypatch, lookup):
    digests = set()
    for value in ("1", "2"):
        monkeypatch.setenv("USER_SCALE", value)
        monkeypatch.setenv("TERM_X", value)
        digests.add(observed(f"y = {lookup}").digest)
    assert len(digests) == 2
    assert not [key for key in observed("y = os.environ.get('TERM', 1) and 1").reads if key.startswith("$")]


@pytest.mark.filterwarnings("ignore:.*fork")  # of Python 3.12 and of JAX, where there are threads
def test_a_fork_is_another_program():
    before = observed("child = os.fork()\nif child == 0:\n    os._exit(0)\nos.waitpid(child, 0)\ny = 1")
    assert "another program" in before.unseen


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no /dev/shm")
def test_files_in_shared_memory_are_data(request):
    path = Path(f"/dev/shm/scorefleet-test-{os.getpid()}.csv")
    request.addfinalizer(lambda: path.unlink(missing_ok=True))
    path.write_text("1\n")
    assert str(path) in observed(f"y = Path({str(path)!r}).read_text()").reads


def test_files_read_at_the_first_call_are_in_the_digest(folder):
    data = "\n@cache\ndef data():\n    return float(Path('y.csv').read_text())\n"
    Path("lazy_density.py").write_text(HEAD + data + "\ndef log_density(x):\n    return -((x - data())**2).sum(1)\n")
    chains = config.Chains(target="lazy_density:log_density", dim=2)
    before = density.observe(chains)
    (folder / "y.csv").write_text("2\n")
    assert "y.csv" in before.reads
    assert density.observe(chains).digest != before.digest


def test_files_that_are_read_only_later_are_refused():
    source = (
        "\ndef log_density(x):\n    return -(x**2).sum(1) * (len(x) < 5 or float(Path('y.' + 'csv').read_text()))\n"
    )
    Path("late_density.py").write_text(HEAD + source)
    chains = config.Chains(target="late_density:log_density", dim=2)
    seen = density.observe(chains)
    with (
        pytest.raises(DataError, match=r"read y.csv only after its first call[^\n]*read it when the module is imp"),
        inputs.complete(seen),
    ):
        density.check(chains.target, seen.function, density.support_of(chains))


def test_a_new_file_in_a_folder_that_was_listed_changes_the_digest(folder):
    source = "y = sum(float(p.read_text()) for p in sorted(Path('many').iterdir()) if p.suffix == '.csv')"
    before = observed(source).digest
    (folder / "many" / "notes.txt").write_text("not one of those")
    assert observed(source).digest == before
    (folder / "many" / "c.csv").write_text("1\n")
    assert observed(source).digest != before


def test_environment_variables_are_in_the_digest_and_not_in_the_clear(monkeypatch):
    source = "y = os.environ.get('Y_OF_THE_DENSITY', '1')"
    before = observed(source)
    monkeypatch.setenv("Y_OF_THE_DENSITY", "31415")
    after = observed(source)
    assert after.digest != before.digest
    assert "31415" not in str(after.reads)
    assert "Y_OF_THE_DENSITY" in reads.changes(before.reads)[0]


def test_what_passes_is_not_in_the_digest():
    source = """
import tempfile
os.urandom(3), open('/dev/urandom', 'rb').close(), Path('/proc/self/stat').read_bytes()
with tempfile.NamedTemporaryFile('w+') as file:
    file.write('1'), file.flush(), Path(file.name).read_text()
with open('trace.log', 'a') as log:
    log.write('again')
count = int(Path('count.txt').read_text()) if os.path.exists('count.txt') else 0
Path('count.txt').write_text(str(count + 1))
if not os.path.exists('cache.npy'):
    np.save('cache.npy', np.ones(1))
y = np.load('cache.npy').sum()
"""
    Path("count.txt").write_text("0")
    before = observed(source)
    inputs._seen.clear()
    after = observed(source)
    assert Path("count.txt").read_text() == "2"
    assert set(before.reads) - set(observed("y = 1").reads) == {"cache.npy"}
    assert after.digest == before.digest


def test_what_cannot_be_followed_is_said_and_noticed_by_the_values(folder, capsys):
    source = "import subprocess\ny = subprocess.run(['cat', 'y.' + 'csv'], capture_output=True, text=True).stdout"
    before = inputs.for_key(observed(source))
    (line,) = capsys.readouterr().err.splitlines()
    assert "reads what cannot be followed (another program, " in line
    assert "changes there are noticed only by its values" in line
    (folder / "y.csv").write_text("2\n")
    assert inputs.for_key(observed(source)) != before


def test_a_file_that_changes_while_it_is_read_is_refused():
    source = "y = Path('y.csv').read_text()\nos.system('echo 22 > y.csv')"
    with pytest.raises(DataError, match=r"y.csv changed while it was read: run the same command again"):
        observed(source)


def test_data_that_change_after_the_key_was_found_are_refused(folder):
    inputs.for_key(observed("y = Path('y.csv').read_text()"))
    (folder / "y.csv").write_text("2\n")
    with (
        pytest.raises(DataError, match="changed after this command had begun"),
        inputs.complete(observed("y = Path('y.csv').read_text()")),
    ):
        pytest.fail("nothing may be computed")


def test_a_worker_that_sees_another_file_is_refused(folder):
    then = observed("y = Path('y.csv').read_text()").reads
    (folder / "y.csv").write_text("2\n")
    with pytest.raises(DataError, match=r"y.csv is [0-9a-f]+ and was [0-9a-f]+; all workers must see the same files"):
        inputs.require_same(observed("y = Path('y.csv').read_text()"), then)


def test_a_worker_that_stands_in_a_copy_of_the_folder_may_read_the_file_where_it_is(folder, tmp_path, monkeypatch):
    source = f"y = Path({str(folder / 'y.csv')!r}).read_text()"
    then = observed(source).reads
    (tmp_path / "copy").mkdir()
    monkeypatch.chdir(tmp_path / "copy")
    inputs.require_same(observed(source), then)


def test_a_file_that_is_read_at_every_call_must_stay_as_it_is(folder):
    source = "def log_density(x):\n    return -(x**2).sum(1) * float(Path('y.csv').read_text())\n"
    Path("rereading.py").write_text(HEAD + source)
    chains = config.Chains(target="rereading:log_density", dim=2)
    seen = density.observe(chains)
    with inputs.complete(seen):
        density.check(chains.target, seen.function, density.support_of(chains))
    inputs.require_unchanged(seen)
    (folder / "y.csv").write_text("2\n")
    with pytest.raises(DataError, match=r"y.csv changed while the chains ran"):
        inputs.require_unchanged(seen)


def test_the_environment_is_as_it_was_after_it_was_watched():
    before = type(os.environ)
    observed("y = 1")
    assert type(os.environ) is before


def test_a_source_that_cannot_be_read_is_one_line(folder):
    (folder / "half.py").write_text("def f(x:")
    with pytest.raises(UsageError, match=r"^the source [^\n]*half.py cannot be read: [^\n]*$"):
        observed("y = 1\nif False:\n    import half")
