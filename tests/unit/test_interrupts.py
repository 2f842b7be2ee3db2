import signal

import pytest

from scorefleet.tasks.training.ray_trainer import interruptible


def test_ctrl_c_after_training_is_what_it_was_before():
    before = signal.getsignal(signal.SIGINT)
    with interruptible():
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a handler that Ray Train leaves behind
    assert signal.getsignal(signal.SIGINT) == before


def test_a_process_that_ray_train_would_end_is_interrupted():
    with pytest.raises(KeyboardInterrupt), interruptible():
        raise SystemExit(0)
