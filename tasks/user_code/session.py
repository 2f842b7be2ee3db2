"""Leaves a Python session as it was: steps set what a process of their own may have as it needs."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.distributions import Distribution

ONE_AT_A_TIME = threading.RLock()


@contextmanager
def as_it_was() -> Iterator[None]:
    """Give back torch's generator, default dtype, threads and checks of arguments, and the answer to Ctrl-C. These
    belong to the whole process, so one thread at a time is within.
    """
    with ONE_AT_A_TIME, torch.random.fork_rng():
        threads, checks, dtype = torch.get_num_threads(), Distribution._validate_args, torch.get_default_dtype()
        is_main = threading.current_thread() is threading.main_thread()
        interrupt = signal.getsignal(signal.SIGINT) if is_main else None
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.set_default_dtype(dtype)
            Distribution.set_default_validate_args(checks)
            if interrupt is not None:
                signal.signal(signal.SIGINT, interrupt)
