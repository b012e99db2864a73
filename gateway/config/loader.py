"""Reads a TOML file into a Config: secrets from files or the environment, paths made absolute, every error in words."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from gateway.config.checks import contradictions
from gateway.config.models import Config, DataSection, WebSection
from gateway.config.validation_errors import problems
from gateway.errors import ConfigError

DATABASE_URL_VARIABLE = "CARDIOSCAN_DATABASE_URL"
SECRET_FILE_MAX_BYTES = 10_000  # a URL is far shorter; a wrong path may lead to anything


def load(path: Path, environment: Mapping[str, str] | None = None) -> Config:
    """The configuration in a file. Relative paths in it count from the file's folder.

    environment: stands for os.environ.
    Raises ConfigError: the file cannot be read, is no TOML, or holds something wrong; all problems are listed.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")  # Notepad writes a byte order mark
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 at byte {error.start}; save it as UTF-8") from error
    return loads(text, path.absolute().parent, environment, str(path))


def loads(text: str, folder: Path, environment: Mapping[str, str] | None = None, name: str = "config") -> Config:
    """The configuration in a text, as load() reads it. Raises ConfigError."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: is no TOML: {error}") from error
    try:
        # by JSON, for only there does strict mean: a list for a tuple, a text for a path, and never "104" for 104
        config = Config.model_validate_json(json.dumps(raw, default=str), strict=True)
    except ValidationError as error:
        raise _config_error(name, problems(error, raw, Config)) from error
    config = _with_secrets(_with_absolute_paths(config, folder), os.environ if environment is None else environment)
    if wrong := contradictions(config):
        raise _config_error(name, wrong)
    return config


def _config_error(name: str, sentences: list[str]) -> ConfigError:
    return ConfigError("\n".join(f"{name}: {sentence}" for sentence in sentences))


def _with_absolute_paths(config: Config, folder: Path) -> Config:
    def absolute(path: Path) -> Path:
        try:
            return folder / path.expanduser()
        except RuntimeError as error:
            raise ConfigError(f"{path}: whose home folder is meant? Write the path in full.") from error

    def moved(section: Any, key: str) -> Any:
        path = getattr(section, key, None)
        return section if path is None else section.model_copy(update={key: absolute(path)})

    def moved_web(web: WebSection) -> WebSection:
        oidc = web.oidc and moved(moved(web.oidc, "client_secret_file"), "ca_file")
        moved_files: WebSection = moved(moved(web, "tls_certificate"), "tls_key")
        return moved_files.model_copy(update={"oidc": oidc})

    return config.model_copy(
        update={
            "data": moved(moved(config.data, "folder"), "database_url_file"),
            "fax_inbox": tuple(moved(inbox, "folder") for inbox in config.fax_inbox),
            "destination": tuple(moved(destination, "folder") for destination in config.destination),
            "audit": moved(moved(config.audit, "checkpoint_folder"), "signing_key_file"),
            "notify": moved(config.notify, "smtp_password_file"),
            "web": moved_web(config.web),
        }
    )


def _with_secrets(config: Config, environment: Mapping[str, str]) -> Config:
    """The environment wins over the file named by database_url_file, for a container sets it last."""
    data = config.data
    if data.database_url.get_secret_value() and data.database_url_file:
        raise ConfigError('data: "database_url" and "database_url_file" are both set; keep one')
    url = environment.get(DATABASE_URL_VARIABLE, "").strip() or _from_file(data)
    if not url:
        return config
    return config.model_copy(update={"data": data.model_copy(update={"database_url": SecretStr(url)})})


def _from_file(data: DataSection) -> str:
    if data.database_url_file is None:
        return ""
    try:
        with data.database_url_file.open("rb") as file:
            url = file.read(SECRET_FILE_MAX_BYTES).decode("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise ConfigError(f"data.database_url_file: {data.database_url_file}: {reason}") from error
    if not url:
        raise ConfigError(f"data.database_url_file: {data.database_url_file} is empty")
    return url
