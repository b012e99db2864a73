"""Builds the networks and loads exactly the weights named in weights/manifest.toml (SHA-256 checked)."""

from pipeline.networks.build import Loaded, build_grid, build_register, build_row, build_source, load
from pipeline.networks.device import DEVICES, choose_device, prefers_bfloat16
from pipeline.networks.manifest import WEIGHTS, Weights, load_state, manifest
from pipeline.networks.row import RowNetwork, RowOptions
from pipeline.networks.running import Network, Opened, Running, open_networks, shipped

__all__ = [
    "DEVICES",
    "WEIGHTS",
    "Loaded",
    "Network",
    "Opened",
    "RowNetwork",
    "RowOptions",
    "Running",
    "Weights",
    "build_grid",
    "build_register",
    "build_row",
    "build_source",
    "choose_device",
    "load",
    "load_state",
    "manifest",
    "open_networks",
    "prefers_bfloat16",
    "shipped",
]
