import pytest

from scorefleet.tasks.user_code.sources import modules_of, own_sources

FILES = {
    "posterior.py": "import json\nimport torch\nfrom priors import flat\nfrom model.parts import likelihood\n",
    "priors.py": "def flat(x):\n    import constants\n    return 0 * x\n",
    "constants.py": "ZERO = 0\n",
    "model/__init__.py": "",
    "model/parts.py": "from . import shapes\nfrom .deep import curve\n",
    "model/shapes.py": "",
    "model/deep/__init__.py": "from ..shapes import *\ncurve = 1\n",
    "unrelated.py": "",
}


def contents(*modules):
    return {name: path.read_bytes() for name, path in own_sources(modules).items()}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "model" / "deep").mkdir(parents=True)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_module_is_made_of_all_that_it_imports_of_its_users_own():
    expected = {"posterior", "priors", "constants", "model", "model.parts", "model.shapes", "model.deep"}
    assert set(own_sources(["posterior"])) == expected


@pytest.mark.parametrize("changed", [name for name in FILES if name != "unrelated.py"])
def test_a_change_in_any_of_them_changes_the_sources(folder, changed):
    before = contents("posterior")
    (folder / changed).write_text(FILES[changed] + "# other\n")
    assert contents("posterior") != before


def test_a_change_elsewhere_does_not(folder):
    before = contents("posterior")
    (folder / "unrelated.py").write_text("x = 1\n")
    assert contents("posterior") == before


def test_an_installed_function_is_known_by_its_own_file():
    assert set(own_sources(["torch.special"])) == {"torch.special"}


def test_nothing_is_run(folder):
    (folder / "constants.py").write_text("raise RuntimeError\n")
    assert "constants" in own_sources(["posterior"])


def test_a_function_is_also_known_by_the_installed_module_that_it_comes_from(folder):
    (folder / "mine.py").write_text("from others import curve as log_density\n")
    (folder / "others.py").write_text("from torch.special import logit as curve\n")
    assert modules_of("mine:log_density") == ["mine", "others", "torch.special"]


def test_modules_that_import_from_each_other_come_to_an_end(folder):
    (folder / "mine.py").write_text("from others import curve\n")
    (folder / "others.py").write_text("from mine import curve\n")
    assert modules_of("mine:curve") == ["mine", "others"]
