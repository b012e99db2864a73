"""One builder per network, by the name the manifest gives it; never a download: the weights come from the manifest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import segmentation_models_pytorch as smp
import timm
from torch import nn

from pipeline.errors import WeightsError
from pipeline.networks.manifest import WEIGHTS, Weights, load_state, manifest
from pipeline.networks.row import RowNetwork, RowOptions
from pipeline.networks.thumbnail import SIDE

Arguments = dict[str, int | float | str | bool | list[int]]


@dataclass(frozen=True, eq=False)
class Loaded:
    """A network in eval mode and the row of the manifest it came from."""

    network: nn.Module
    weights: Weights


def build_source(classes: int, degradations: int, encoder: str = "efficientnet_b5", side: int = SIDE) -> nn.Module:
    """EfficientNet-B5: logits (N, classes + degradations) of what thumbnail.compose makes of a page, RGB -1..1.

    side: of the picture, pixels. The network takes any, but knows only the one it was trained on: the argument is there
    so that the manifest keeps it.
    """
    if side < 96:
        raise ValueError(f"a picture of {side} pixels has no room for a thumbnail and three places")
    return timm.create_model(encoder, pretrained=False, num_classes=classes + degradations)


def build_register(classes: int, orientations: int = 8, encoder: str = "tu-resnet18d") -> nn.Module:
    """ResNet-18d U-Net: logits (N, classes, H/2, W/2) and of the orientation (N, orientations).

    Of RGB -1..1, H and W multiples of 32. The first class is "a lead name is centred here", the others say which: see
    find_peaks.
    """
    network = smp.Unet(
        encoder,
        encoder_weights=None,
        classes=classes,
        decoder_channels=(128, 96, 64, 48, 48),
        aux_params={"classes": orientations, "pooling": "avg"},
    )
    return _halved(network)


def build_grid(classes: int, encoder: str = "resnet34", depth: int = 4) -> nn.Module:
    """ResNet-34 U-Net: (N, classes, H/2, W/2), see phases, of RGB -1..1, H and W multiples of 2 to the depth.

    Without the encoder's last layer: it holds 13 of 21 million parameters, and what it adds, a view beyond 500 pixels
    at stride 32, a pattern with a period of 21 pixels does not need.
    """
    network = smp.Unet(
        encoder,
        encoder_weights=None,
        encoder_depth=depth,
        classes=classes,
        decoder_channels=(128, 96, 64, 48, 48)[5 - depth :],
    )
    if depth < 5:
        del network.encoder.layer4
    return _halved(network)


def _halved(network: smp.Unet) -> nn.Module:
    """Answers at half resolution: the last decoder block, a third of the work, only sharpens what is smooth here."""
    network.decoder.blocks = network.decoder.blocks[:-1]
    return cast(nn.Module, network)


def build_row(
    widths: tuple[int, ...] | list[int] = RowOptions.widths,
    head: int = RowOptions.head,
    coordinates: bool = RowOptions.coordinates,
    columns: int = RowOptions.columns,
) -> RowNetwork:
    """The coordinate-aware U-Net of stage 2."""
    return RowNetwork(RowOptions(tuple(widths), head, coordinates, columns))


BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "source": build_source,
    "register": build_register,
    "grid": build_grid,
    "waveform": build_row,
}


def load(name: str, folder: Path = WEIGHTS) -> Loaded | None:
    """The named network with its shipped weights, in eval mode; None where the manifest names none for it.

    Raises WeightsError when the manifest names weights that are missing, altered, or do not fit the network.
    """
    row = manifest(folder).get(name)
    if row is None:
        return None
    try:
        network = BUILDERS[name](**row.arguments)
        network.load_state_dict(load_state(row, folder))
    except (TypeError, RuntimeError) as e:  # unknown argument; tensors of another shape or name
        raise WeightsError(f"the weights {row.file} do not fit the network {name}: {e}") from e
    return Loaded(network.eval(), row)
