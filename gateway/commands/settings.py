"""The configuration that a command works with: of a file, or the defaults where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gateway.config import Config, load, loads
from gateway.errors import ConfigError

CONFIG_FILE = Path("config.toml")  # taken where none is named and there is one
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", envvar="CARDIOSCAN_CONFIG", help="The configuration file (TOML); config.toml without it."
    ),
]
ActorOption = Annotated[str, typer.Option("--actor", envvar="USER", help="Who does this; kept in the audit.")]

err = Console(stderr=True, emoji=False)


def config_path(path: Path | None) -> Path | None:
    """The file to read: the one that was named, else config.toml where there is one, else None."""
    return path if path is not None else CONFIG_FILE if CONFIG_FILE.exists() else None


def settings(path: Path | None, begins: bool = False) -> Config:
    """The configuration. Without a file the defaults, which is told in one line.

    begins: whether the command may begin a gateway of defaults in this folder; the others need one that ran here
    before, so that no list of jobs leaves a database behind wherever it was asked for. Raises ConfigError.
    """
    found = config_path(path)
    if found is not None:
        return load(found)
    config = loads("", Path.cwd(), name="the defaults")
    # Many a folder has a "data"; only a gateway's has objects.
    if not begins and not (config.data.folder / "objects").exists():
        raise ConfigError("there is no config.toml here; name one by --config FILE, or write one by cardioscan init")
    err.print(defaults_in_words(config), markup=False, highlight=False, soft_wrap=True)
    return config


def defaults_in_words(config: Config) -> str:
    """The one line that says what a gateway without a file does."""
    scp, web = config.dicom_scp, config.web
    return (
        f"no configuration file: window on http://{web.host}:{web.port}, DICOM door {scp.ae_title} on "
        f"{scp.host}:{scp.port}, pages kept in {config.data.folder} to be downloaded and sent nowhere; cardioscan init "
        "writes a configuration"
    )
