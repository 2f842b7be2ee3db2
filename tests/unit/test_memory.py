"""The peak memory of a step, of which a test of its own leaves no doubt."""

import time

import numpy as np

from scorefleet.tasks.fleet.memory import PeakMemory, used_bytes

LOOK_S = 1.2
"""Longer than between two looks."""


def test_the_peak_is_what_the_block_held_and_let_go():
    before = used_bytes()
    with PeakMemory() as memory:
        held = np.ones(2**25)
        time.sleep(LOOK_S)
        del held
    assert 0.9 < (memory.peak_bytes - before) / 2**28 < 1.5


def test_mapped_files_do_not_count(tmp_path):
    np.save(tmp_path / "file.npy", np.ones(2**25))
    before = used_bytes()
    mapped = np.load(tmp_path / "file.npy", mmap_mode="r")
    assert mapped.sum() == 2**25
    assert used_bytes() - before < 2**26
