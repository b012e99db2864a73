"""Building the networks and loading exactly what the manifest names."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from pipeline.errors import WeightsError
from pipeline.networks import RowNetwork, RowOptions, Weights, load, manifest
from pipeline.networks.folded import fold_batch_norms
from pipeline.training.ship import ship

SMALL = {"widths": [8, 8, 8, 8], "head": 8, "coordinates": True}
ROW = Weights("waveform", "waveform.safetensors", "", "abc1234", 1, "drawn", "none", 1.5, SMALL)


def test_folded_normalizations_change_nothing_but_the_time():
    torch.manual_seed(0)
    network = RowNetwork(RowOptions((8, 8, 8, 8), 8)).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 2)
            module.bias.data.uniform_(-1, 1)
    x, hints = torch.rand(1, 3, 64, 64), torch.rand(1, 4, 16, 16)
    with torch.inference_mode():
        before = network(x, hints)
        after = fold_batch_norms(network)(x, hints)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "manifest.toml").write_text("")
    torch.manual_seed(0)
    ship(RowNetwork(RowOptions((8, 8, 8, 8), 8)).state_dict(), ROW, tmp_path)
    return tmp_path


def test_loads_what_was_shipped(folder):
    loaded = load("waveform", folder)
    assert loaded.weights.sigma_scale == 1.5
    assert not loaded.network.training
    torch.manual_seed(0)
    original = RowNetwork(RowOptions((8, 8, 8, 8), 8)).eval()
    x, hints = torch.rand(1, 3, 64, 64), torch.rand(1, 4, 16, 16)
    torch.testing.assert_close(loaded.network(x, hints), original(x, hints), atol=5e-3, rtol=5e-3)


def test_a_network_the_manifest_does_not_name_has_no_weights(folder):
    assert load("grid", folder) is None


def test_refuses_weights_with_a_flipped_byte(folder):
    path = folder / "waveform.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="SHA-256"):
        load("waveform", folder)


def test_refuses_missing_weights(folder):
    (folder / "waveform.safetensors").unlink()
    with pytest.raises(WeightsError, match="cannot be read"):
        load("waveform", folder)


def test_refuses_weights_of_another_architecture(folder):
    torch.manual_seed(0)
    row = replace(ROW, arguments=SMALL | {"widths": [8, 8, 8, 16]})
    ship(RowNetwork(RowOptions((8, 8, 8, 8), 8)).state_dict(), row, folder)
    with pytest.raises(WeightsError, match="do not fit"):
        load("waveform", folder)


def test_refuses_a_manifest_with_an_unknown_key(folder):
    path = folder / "manifest.toml"
    path.write_text(path.read_text() + 'licence = "none"\n')
    with pytest.raises(WeightsError, match="licence"):
        manifest(folder)


def test_refuses_to_work_without_a_manifest(tmp_path):
    with pytest.raises(WeightsError, match="missing"):
        load("waveform", tmp_path)


def test_the_shipped_manifest_names_only_weights_that_load():
    for name in manifest():
        assert load(name) is not None


def test_the_row_network_gives_a_height_for_every_two_rows_and_one_class_for_no_ink():
    network = RowNetwork(RowOptions((8, 8, 8, 8), 8)).eval()
    logits = network(torch.zeros(2, 3, 320, 96), torch.zeros(2, 4, 80, 24))
    assert logits.shape == (2, 161, 96)


def test_the_row_network_reads_a_taller_strip_with_the_same_weights():
    network = RowNetwork(RowOptions((8, 8, 8, 8), 8)).eval()
    assert network(torch.zeros(1, 3, 640, 64), torch.zeros(1, 4, 160, 16)).shape == (1, 321, 64)


def test_coordinates_tell_rows_apart_that_look_alike():
    """Without them a blank strip gives the same logits in the middle rows; with them it must not."""
    torch.manual_seed(0)
    for coordinates, differs in ((True, True), (False, False)):
        network = RowNetwork(RowOptions((8, 8, 8, 8), 8, coordinates)).eval()
        # far from the edges, whose zero padding reaches 100 rows inwards, at the same place of a 32-row cell
        logits = network(torch.zeros(1, 3, 1280, 64), torch.zeros(1, 4, 320, 16))[0, :-1, 32]
        assert bool((logits[160 * 2 - 16] - logits[160 * 2 + 16]).abs() > 1e-4) is differs


@pytest.mark.parametrize("columns", [4, 2])
def test_cells_of_any_width_give_every_column_its_heights(columns):
    network = RowNetwork(RowOptions((8, 8, 8, 8), 8, columns=columns)).eval()
    assert network(torch.zeros(2, 3, 320, 96), torch.zeros(2, 4, 80, 24)).shape == (2, 161, 96)


@pytest.mark.parametrize("columns", [4, 2])
def test_the_columns_of_a_cell_are_told_apart(columns):
    """A cell knows its own columns: its answer changes with the column in which a line stands."""
    torch.manual_seed(0)
    network = RowNetwork(RowOptions((8, 8, 8, 8), 8, columns=columns)).eval()
    answers = []
    with torch.inference_mode():
        for at in range(48, 48 + columns):
            line = torch.zeros(1, 3, 64, 96)
            line[:, :, :, at] = -1.0
            answers.append(network(line, torch.zeros(1, 4, 16, 24))[0, :-1, 48])
    assert all((one - other).abs().max() > 1e-4 for one, other in pairwise(answers))


@pytest.mark.parametrize("columns", [4, 2])
def test_every_column_of_the_strip_reaches_the_column_of_the_answer_it_belongs_to(columns):
    torch.manual_seed(0)
    network = RowNetwork(RowOptions((8, 8, 8, 8), 8, coordinates=False, columns=columns)).eval()
    blank, line = torch.zeros(1, 3, 64, 96), torch.zeros(1, 3, 64, 96)
    line[:, :, :, 48:50] = -1.0
    hints = torch.zeros(1, 4, 16, 24)
    with torch.inference_mode():
        change = (network(line, hints) - network(blank, hints))[0, :-1].abs().sum(dim=0)
    assert int(change.argmax()) in range(44, 54)
