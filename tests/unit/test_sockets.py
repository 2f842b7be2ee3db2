import pytest

from scorefleet.tasks.training.sockets import interface_of


def test_an_interface_is_known_by_its_address():
    assert interface_of("127.0.0.1") == "lo"
    with pytest.raises(LookupError, match=r"no network interface of .* has the address 203\.0\.113\.7"):
        interface_of("203.0.113.7")
