"""A user's own code can do what it likes: a command ends with one line and its exit code, and is not changed by it."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
import torch

from scorefleet.tasks import config
from scorefleet.tasks.errors import DataError, UsageError, UserError
from scorefleet.tasks.user_code import density
from scorefleet.tasks.user_code.guard import UserFunction, described

NORMAL = "def log_density(x):\n    return -0.5 * (x**2).sum(1)\n"
ENDS = {
    "sys.exit(0)": "sys.exit(0)",
    "exit()": "exit()",
    "raise SystemExit": "raise SystemExit",
    "os._exit(0)": "os._exit(0)",
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "argparse": "argparse.ArgumentParser().parse_args(['--unknown'])",
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def observed(name, source, dim=2):
    Path(f"{name}.py").write_text("import argparse, os, signal, sys\nimport torch\n" + textwrap.dedent(source))
    return density.observe(config.Chains(target=f"{name}:log_density", dim=dim))


def checked(name, source, dim=2):
    seen = observed(name, source, dim)
    density.check(seen.name, seen.function, density.support_of(config.Chains(target=seen.name, dim=dim)))
    return seen


@pytest.mark.parametrize("end", ENDS)
def test_a_module_that_ends_the_process_is_one_line(end):
    with pytest.raises(UsageError, match=r"^importing 'ends' ended the process \([^\n]*\): put [^\n]* `if __name__"):
        observed("ends", ENDS[end] + "\n" + NORMAL)


@pytest.mark.parametrize("end", ENDS)
def test_a_function_that_ends_the_process_is_one_line(end):
    with pytest.raises(DataError, match=r"^target 'ends_later:log_density' ended the process \([^\n]*\): [^\n]*$"):
        observed("ends_later", f"def log_density(x):\n    {ENDS[end]}\n")


def test_a_child_of_user_code_ends_where_user_code_does(folder):
    """Without that a second command would go on, in the child."""
    source = "import os\nif os.fork():\n    os.wait()\n" + NORMAL
    (folder / "forks.py").write_text(source)
    words = "from scorefleet.tasks.user_code import density; density.load('forks:log_density'); print('once')"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout == "once\n"


def test_ctrl_c_in_user_code_is_not_taken_for_an_error_of_it():
    source = "def log_density(x):\n    signal.raise_signal(signal.SIGINT)\n    return -0.5 * (x**2).sum(1)\n"
    with pytest.raises(KeyboardInterrupt):
        observed("interrupted", source)


def test_user_code_leaves_the_process_as_it_was(folder, capsys):
    source = """
        import builtins
        torch.set_default_dtype(torch.float64)
        torch.set_num_threads(7)
        torch.set_grad_enabled(False)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.makedirs("elsewhere")
        os.chdir("elsewhere")
        print("hello")

        def log_density(x):
            assert torch.tensor(1.0).dtype == torch.float64
            print("again")
            torch.set_num_threads(3)
            with torch.enable_grad():
                value = -0.5 * (x**2).sum(1)
            torch.set_grad_enabled(False)
            return value
        """
    before = (torch.get_default_dtype(), torch.get_num_threads(), signal.getsignal(signal.SIGTERM))
    seen = observed("leaves_traces", source)
    assert seen.function(torch.ones(3, 2, dtype=torch.float64)).tolist() == [-1, -1, -1]
    assert (torch.get_default_dtype(), torch.get_num_threads(), signal.getsignal(signal.SIGTERM)) == before
    assert torch.is_grad_enabled()
    assert Path.cwd() == folder
    assert "hello" not in capsys.readouterr().out.split("again")[0]


def test_points_that_a_function_changes_in_place_stay_as_they_are():
    source = """
        def log_density(x):
            x[:, 0] = x[:, 0].exp()
            x.data.mul_(1)
            return -0.5 * (x**2).sum(1)
        """
    x = torch.zeros(3, 2, dtype=torch.float64, requires_grad=True)
    value = checked("in_place", source).function(x)
    assert value.tolist() == [-0.5, -0.5, -0.5]
    assert x.tolist() == [[0, 0]] * 3
    assert torch.autograd.grad(value.sum(), x)[0].tolist() == [[-1, 0]] * 3


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def log_density(x):\n    return -0.5 * (x**2).sum(1).half()\n", "must return float64 on the CPU"),
        ("def log_density(x):\n    return (x + 0j).sum(1)\n", "must return float64 on the CPU"),
        ("def log_density(x):\n    return (x**2).sum(1).to('meta')\n", "returned torch.float64 on meta"),
        ("def log_density(x):\n    return -0.5 * (x**2).sum(1, keepdim=True)\n", r"but returned \(16, 1\)"),
        (
            "w = torch.ones(1, requires_grad=True)\ndef log_density(x):\n    return w * x.detach().sum(1)\n",
            "cannot differentiate by the points",
        ),
        ("def log_density(x):\n    raise type('E', (Exception,), {'__str__': lambda s: 1 / 0})\n", "cannot be made"),
        ("def log_density(x):\n    raise ValueError('\\n\\x1b[31mred\\nmore')\n", "raised ValueError: red$"),
        ("def log_density(x):\n    raise ValueError('password=hunter2')\n", r"password=\[redacted\]$"),
        ("def log_density(x):\n    raise ValueError('x' * 10**6)\n", r"raised ValueError: x{300}\.\.\.$"),
        ("def log_density(x):\n    raise BaseExceptionGroup('g', [ValueError()])\n", "raised ExceptionGroup: g"),
        ("class log_density:\n    def __init__(self, x): pass\n", "is a class"),
    ],
)  # fmt: skip
def test_what_is_no_density_is_one_line(source, message):
    with pytest.raises(UserError, match=message) as error:
        checked("no_density", source)
    assert "\n" not in str(error.value)
    assert "\x1b" not in str(error.value)


@pytest.mark.parametrize(
    "source",
    [
        "log_density = lambda x: -0.5 * (x**2).sum(1)",
        "from functools import partial\nlog_density = partial(lambda a, x: -a * (x**2).sum(1), 0.5)",
        "class Normal:\n    def __call__(self, x):\n        return -0.5 * (x**2).sum(1)\nlog_density = Normal()",
        "class N(torch.nn.Module):\n    def forward(self, x):\n        return -(x**2).sum(1)\nlog_density = N()",
        "class Own(torch.Tensor):\n    pass\ndef log_density(x):\n    return (-0.5 * (x**2).sum(1)).as_subclass(Own)",
        "@torch.enable_grad()\ndef log_density(x):\n    return -0.5 * (x**2).sum(1)",
        "def log_density(x):\n    return -0.5 * (x.float()**2).sum(1)",
    ],
)  # fmt: skip
def test_whatever_can_be_called_is_a_density(source):
    function = checked("callable_density", source).function
    assert type(function(torch.ones(2, 2, dtype=torch.float64))) is torch.Tensor


def test_names_of_other_modules_are_refused_with_the_file_to_rename(folder):
    (folder / "statistics.py").write_text(NORMAL)
    with pytest.raises(
        UsageError, match=r"statistics.py has the name of another module, 'statistics' of Python's own: rename it"
    ):
        density.load("statistics:log_density")
    (folder / "scorefleet").mkdir()
    (folder / "scorefleet" / "prior.py").write_text(NORMAL)
    with pytest.raises(UsageError, match=r"/scorefleet has the name of another module, 'scorefleet' in /.*: rename it"):
        density.load("scorefleet.prior:log_density")


def test_folders_of_the_users_own_may_be_called_tasks_and_pipelines(folder):
    for name in ("tasks", "pipelines"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").touch()
        (folder / name / "prior.py").write_text(NORMAL)
    words = "from scorefleet.tasks.user_code import density; density.load('tasks.prior:log_density'); "
    words += "density.load('pipelines.prior:log_density'); print('both')"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=False, cwd=folder)
    assert done.stdout == "both\n", done.stderr


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("posterior.py:f", "'posterior:f'?"),
        ("./posterior.py:f", "'posterior:f'?"),
        ("posterior/f", "'posterior:f'?"),
        ("posterior", "'posterior:FUNCTION'?"),
        ("models/posterior.py:f", "'models.posterior:f'?"),
        ("/home/me/posterior.py:f", "'posterior:f', from within /home/me?"),
        ("../posterior.py:f", "'posterior:f', from within ..?"),
    ],
)
def test_a_path_is_refused_with_the_name_to_give(name, meant):
    with pytest.raises(ValueError, match=f"but got {name!r}; did you mean {re.escape(meant)}$"):
        config.Chains(target=name)


@pytest.mark.parametrize(
    ("data", "is_read"),
    [
        (b"\xef\xbb\xbf" + NORMAL.encode(), True),
        (b"# -*- coding: latin-1 -*-\n# \xe9\n" + NORMAL.encode(), True),
        (b"NOTE = '\xe9'\n" + NORMAL.encode(), False),
        (b"\0" + NORMAL.encode(), False),
    ],
)
def test_sources_of_any_encoding_are_read_or_refused(folder, data, is_read):
    name = f"encoded_{abs(hash(data))}"
    (folder / f"{name}.py").write_bytes(data)
    chains = config.Chains(target=f"{name}:log_density", dim=2)
    if is_read:
        density.observe(chains)
    else:
        with pytest.raises(UsageError, match=r"^[^\n]*cannot be read[^\n]*$"):
            density.observe(chains)


def test_a_folder_without_init_inside_a_package_is_found(folder):
    (folder / "mypkg" / "sub").mkdir(parents=True)
    (folder / "mypkg" / "__init__.py").write_text("")
    (folder / "mypkg" / "sub" / "parts.py").write_text("scale = -0.5\n")
    (folder / "mypkg" / "posterior.py").write_text(
        "from mypkg.sub.parts import scale\n\ndef log_density(x):\n    return scale * (x**2).sum(1)\n"
    )
    seen = density.observe(config.Chains(target="mypkg.posterior:log_density", dim=2))
    assert set(seen.reads) == {"module mypkg", "module mypkg.posterior", "module mypkg.sub.parts"}


def test_a_module_in_an_archive_is_known_by_it(folder, monkeypatch):
    import zipfile

    def pack(text):
        with zipfile.ZipFile(folder / "packed.zip", "w") as archive:
            archive.writestr("zipped_density.py", text)

    pack(NORMAL)
    monkeypatch.syspath_prepend(str(folder / "packed.zip"))
    chains = config.Chains(target="zipped_density:log_density", dim=2)
    before = density.observe(chains).reads
    assert "module zipped_density" in before
    assert len(before["module zipped_density"]) == 64


def test_an_error_without_a_text_is_described_by_its_class():
    assert described(ValueError()) == "ValueError"


def test_functions_are_run_outside_the_main_thread():
    function, results = UserFunction("target 'f'", lambda x: x.sum(1)), []
    thread = threading.Thread(target=lambda: results.append(function(torch.ones(1, 2))))
    thread.start()
    thread.join()
    assert results[0].tolist() == [2]
    assert os.getpid()
