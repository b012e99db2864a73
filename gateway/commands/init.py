"""What `cardioscan init` writes: a configuration as short as a site's first day needs."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from gateway.config import loads
from gateway.errors import ConfigError

ADDRESS = re.compile(r"(?:(?P<title>[^@]+)@)?(?P<host>\[[^\]]+\]|[^:@]+):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True)
class Site:
    """What was answered; "" is none.

    listen: the address of the DICOM door. pacs: AE@HOST:PORT. ehr: HOST:PORT. inbox: a folder for faxes.
    """

    ae_title: str
    listen: str
    pacs: str
    ehr: str
    inbox: str


def write_config(path: Path, site: Site) -> None:
    """Writes the file and makes the inbox. ConfigError: an answer is not lawful, or the file is there already."""
    text = config_text(site)
    config = loads(text, path.absolute().parent, {}, str(path))
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
        for inbox in config.fax_inbox:
            inbox.folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise ConfigError(f"{path} is there already; name another by --out, or change it by hand") from error


def config_text(site: Site) -> str:
    """The configuration as TOML. Raises ConfigError where an address is none."""
    parts = [
        "# Written by cardioscan init. config.example.toml has every key, with unit, default and reason.",
        _table("[data]", folder="data"),
        _table("[dicom_scp]", ae_title=site.ae_title, host=site.listen, port=11112),
    ]
    if site.inbox:
        parts.append(_table("[[fax_inbox]]", name="fax", folder=site.inbox))
    if site.pacs:
        title, host, port = _address(site.pacs, "the PACS", "AE@HOST:PORT")
        if not title:
            raise ConfigError(f"{site.pacs!r} does not say the PACS's AE title: write AE@HOST:PORT")
        calling = site.ae_title
        parts.append(_destination("dicom", "pacs", host, port, called_ae_title=title, calling_ae_title=calling))
    if site.ehr:
        _, host, port = _address(site.ehr, "the EHR", "HOST:PORT")
        parts.append(_destination("mllp", "ehr", host, port))
    parts.append(_table("[web]", host="127.0.0.1", port=8080))
    return "\n\n".join(parts) + "\n"


def _destination(kind: str, name: str, host: str, port: int, **more: str) -> str:
    return _table("[[destination]]", kind=kind, name=name, host=host, port=port, **more)


def _address(text: str, what: str, form: str) -> tuple[str, str, int]:
    found = ADDRESS.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"{text!r} is no address of {what}: write {form}")
    return found["title"] or "", found["host"].strip("[]"), int(found["port"])


def _table(head: str, **values: str | int) -> str:
    # JSON's strings and numbers are TOML's too.
    return "\n".join([head, *(f"{key} = {json.dumps(value)}" for key, value in values.items())])
