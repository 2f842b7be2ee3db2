import torch

from scorefleet.tasks.ebm import model

DESCRIPTION = {"dim": 3, "energy": "inner_product", "width": 8, "num_blocks": 1, "num_conditions": 0}


def _network():
    torch.manual_seed(0)
    network = model.build(**DESCRIPTION)
    torch.nn.init.normal_(network.network.last.weight)
    return network


def _write(network, folder):
    for name, data in model.to_files(network, DESCRIPTION).items():
        (folder / name).write_bytes(data)


def test_a_model_that_is_saved_and_loaded_has_the_same_density(tmp_path):
    network = _network()
    _write(network, tmp_path)
    x, t = torch.randn(16, 3), torch.zeros(16)
    torch.testing.assert_close(model.load(tmp_path).log_density(x, t), network(x, t).detach(), rtol=0, atol=0)


def test_the_files_of_equal_models_are_equal_bytes_and_other_weights_give_another_digest(tmp_path):
    assert model.to_files(_network(), DESCRIPTION) == model.to_files(_network(), DESCRIPTION)
    _write(_network(), tmp_path)
    first = model.digest(tmp_path)
    other = _network()
    other.network.last.weight.data += 1e-6
    _write(other, tmp_path)
    assert model.digest(tmp_path) != first
