import logging
import os
import re
import shutil

import numpy as np
import pytest
import torch
from scipy import stats

from scorefleet.tasks.mcmc import native, streams
from scorefleet.tasks.mcmc.streams import Stream

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")


@pytest.fixture
def no_compiler(monkeypatch):
    """As on a machine without g++; what was compiled is forgotten before and after."""

    def forget():
        for cached in (native.library, native.function, streams._function):
            cached.cache_clear()

    forget()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    yield
    monkeypatch.undo()
    forget()


def of_numpy(random, use):
    key, counter = np.array(random.key, dtype=np.uint64), np.array([0, use, random.step, random.phase], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


@needs_compiler
def test_compiled_normals_are_the_bytes_of_numpy():
    """A layer's border moved by one of its 2^23 places would show in one of 2^23 numbers of that layer, so in 4e6
    numbers each of 256 with probability .002, and any common error of all in one run in 2; the tables were compared on
    4e8 numbers once. Of the 4e6 about 60,000 come from wedges and 1,000 from the tail.
    """
    for step in range(4):
        random = Stream(2**40, 7).at(3, step)
        expected = of_numpy(random, 0).standard_normal(1_000_000, dtype=np.float32)
        np.testing.assert_array_equal(random.normal(1_000_000).numpy(), expected)
        assert np.abs(expected).max() > 3.6541528853610088


@needs_compiler
def test_compiled_uniforms_are_the_bytes_of_numpy():
    random = Stream(1, 2).at(3, 4)
    np.testing.assert_array_equal(random.uniform(1000, 3).numpy(), of_numpy(random, 1).random((1000, 3)))


@needs_compiler
def test_an_odd_number_of_normals_and_none_at_all():
    random = Stream(1, 2).at(3, 4)
    for num in (0, 1, 7, 257, 513):
        np.testing.assert_array_equal(random.normal(num).numpy(), of_numpy(random, 0).standard_normal(num, np.float32))


def test_without_a_compiler_the_numbers_are_the_same(no_compiler):
    random = Stream(1, 2).at(3, 4)
    assert native.library(streams.SOURCE) is None
    assert native.compiled_by(streams.SOURCE) == "none"
    np.testing.assert_array_equal(random.normal(99).numpy(), of_numpy(random, 0).standard_normal(99, np.float32))
    assert stats.kstest(random.uniform(10_000).numpy(), "uniform").pvalue > 1e-6


@needs_compiler
def test_the_compiler_is_named_with_its_version():
    assert re.fullmatch(r"g\+\+.* \d+\.\d+\.\d+.*", native.compiled_by(streams.SOURCE))


@needs_compiler
def test_a_file_that_cannot_be_compiled_is_a_warning_and_not_an_error(tmp_path, caplog):
    broken = tmp_path / "broken.cpp"
    broken.write_text("this is not C++")
    with caplog.at_level(logging.WARNING):
        assert native.library(broken) is None
    assert "broken is slower than it could be" in caplog.text


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A source of this test's own, whose compiled file lies in a folder of this test's own."""
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    made = tmp_path / "seven.cpp"
    made.write_text('extern "C" void seven(double* x) { *x = 7; }')
    return made


def value_of(source):
    native.library.cache_clear()
    number = np.zeros(1)
    native.library(source).seven(native.ADDRESS(number.ctypes.data))
    return number[0]


@needs_compiler
def test_a_file_is_compiled_once_and_again_when_it_has_changed(source):
    assert value_of(source) == 7
    (compiled,) = source.parent.glob("scorefleet-*/native/*")
    made_at = compiled.stat().st_mtime_ns
    assert value_of(source) == 7
    assert compiled.stat().st_mtime_ns == made_at
    source.write_text(source.read_text().replace("7", "8"))
    assert value_of(source) == 8


@needs_compiler
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_compiled_file_that_another_user_has_put_there_is_not_loaded(source):
    assert value_of(source) == 7
    (compiled,) = source.parent.glob("scorefleet-*/native/*")
    compiled.unlink()  # which stays loaded
    compiled.write_bytes(b"another's")
    os.chown(compiled, 1234, 1234)
    assert value_of(source) == 7
    assert compiled.stat().st_uid == 0


def test_memory_has_the_shape_and_type_that_were_asked_for():
    assert native.empty((3, 2)).shape == (3, 2)
    assert native.empty((3,), "bool").dtype == torch.bool
    assert native.empty((3,), "float64").dtype == torch.float64
