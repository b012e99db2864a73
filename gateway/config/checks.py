"""What no single key shows: contradictions, which load refuses, and doubtful settings, which check tells."""

from __future__ import annotations

import ipaddress
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from itertools import combinations
from pathlib import Path

from gateway.config.fields import ORDER_KEYS, STATED_KEYS, FieldKind, kind_of, nearest_field
from gateway.config.models import (
    NUMBER_OPERATORS,
    Condition,
    Config,
    DicomScpSection,
    FolderDestination,
    Hl7FeedSection,
    NotifySection,
    RetentionSection,
    Rule,
    WebSection,
)
from gateway.config.patterns import problem_with

# A file name has at most 255 characters and its fields are told apart by separators; rules allow fewer repeats.
FILE_NAME_OPEN_REPEATS_MAX = 10


def check_config(config: Config) -> list[str]:
    """What keeps a configuration from doing what it says on this machine, one sentence each."""
    return [*contradictions(config), *_unreachable_rules(config), *_missing_folders(config), *_missing_files(config)]


def contradictions(config: Config) -> list[str]:
    """What makes a configuration wrong although every key for itself is lawful, one sentence each."""
    return [
        *_names(config),
        *_folders(config),
        *_addresses(config),
        *_ports(config),
        *_inboxes(config),
        *_identity(config),
        *_rules(config),
        *_web(config.web),
        *_retention(config.retention),
        *_notify(config.notify),
    ]


def _notify(notify: NotifySection) -> Iterator[str]:
    if notify.smtp_host and not (notify.mail_from and notify.mail_to):
        yield "notify: smtp_host needs mail_from and mail_to: an e-mail has a sender and somebody who reads it"
    if notify.smtp_user and notify.smtp_security == "none":
        yield "notify: smtp_user would sign in without encryption; set smtp_security"
    if bool(notify.smtp_user) != bool(notify.smtp_password_file):
        yield "notify: smtp_user and smtp_password_file belong together"


def _retention(retention: RetentionSection) -> Iterator[str]:
    if retention.audit_years and not (retention.pages_days and retention.documents_days):
        yield (
            "retention: audit_years needs pages_days and documents_days: entries of a page that is kept for ever are "
            "kept too"
        )
    if retention.audit_years and max(retention.pages_days, retention.documents_days) > retention.audit_years * 365:
        yield "retention: audit_years must not end before pages_days and documents_days: the audit tells of both"


def _names(config: Config) -> Iterator[str]:
    yield from _twice("destination", [d.name for d in config.destination])
    yield from _twice("fax_inbox", [i.name for i in config.fax_inbox])
    yield from _twice("worklist", [w.name for w in config.worklist])
    yield from _twice("rule", [r.name for r in config.rule])


def _twice(table: str, names: Sequence[str]) -> Iterator[str]:
    for name in sorted({n for n in names if names.count(n) > 1}):
        yield f'{table}: the name "{name}" is used {names.count(name)} times; each needs its own'


def _folders(config: Config) -> Iterator[str]:
    """One folder for two uses makes a loop: what goes out comes in again. One within another is lawful."""
    first: dict[Path, str] = {}
    for use, folder in [("data.folder", config.data.folder), *_needed_folders(config)]:
        other = first.setdefault(folder.resolve(), use)
        # two destinations may share a folder: document names differ by content
        if other != use and not (other.startswith("destination") and use.startswith("destination")):
            yield f"{use}: its folder {folder} is also that of {other}; give each its own"


def _addresses(config: Config) -> Iterator[str]:
    doors = (("dicom_scp", config.dicom_scp.addresses), ("hl7_feed", config.hl7_feed.addresses))
    for door, address in ((door, address) for door, addresses in doors for address in addresses):
        try:
            ipaddress.ip_network(address)
        except ValueError as error:
            yield f'{door}.addresses: "{address}" is no address or CIDR network: {error}'


def _ports(config: Config) -> Iterator[str]:
    """One port cannot be listened on twice, unless each time at another address."""
    doors = (("dicom_scp", config.dicom_scp), ("hl7_feed", config.hl7_feed), ("web", config.web))
    listening: list[tuple[str, DicomScpSection | Hl7FeedSection | WebSection]]
    listening = [(name, door) for name, door in doors if door.enabled and door.port]
    for (one, first), (other, second) in combinations(listening, 2):
        meet = first.host == second.host or {first.host, second.host} & {"0.0.0.0", "::"}
        if first.port == second.port and meet:
            yield f"{other}: its port {second.port} is also that of {one}; give each its own"


def _inboxes(config: Config) -> Iterator[str]:
    for inbox in config.fax_inbox:
        if inbox.file_name_pattern:
            problem = _file_name_pattern(inbox.file_name_pattern)
            if problem:
                yield f'fax_inbox "{inbox.name}": file_name_pattern {problem}'


def _file_name_pattern(pattern: str) -> str:
    if problem := problem_with(pattern, FILE_NAME_OPEN_REPEATS_MAX):
        return problem
    groups = re.compile(pattern).groupindex
    if not groups:
        return "names no group; write for example (?P<patient_id>[0-9]+)_.*"
    unknown = next((group for group in groups if group not in STATED_KEYS), None)
    return (
        f'has a group "{unknown}", which is no key of an order{_did_you_mean(unknown, STATED_KEYS)}' if unknown else ""
    )


def _identity(config: Config) -> Iterator[str]:
    for key in config.identity.require:
        if key not in ORDER_KEYS:
            yield f'identity.require: there is no "{key}"{_did_you_mean(key, ORDER_KEYS)}'
    from pydicom.datadict import tag_for_keyword  # a second, which only who checks a configuration has to wait

    for keyword in config.identity.acquired_at_from:
        if tag_for_keyword(keyword) is None:
            yield f'identity.acquired_at_from: "{keyword}" is no DICOM keyword'


def _rules(config: Config) -> Iterator[str]:
    destinations = [d.name for d in config.destination]
    for rule in config.rule:
        for problem in _rule(rule, destinations):
            yield f'rule "{rule.name}": {problem}'


def _rule(rule: Rule, destinations: Sequence[str]) -> Iterator[str]:
    if not rule.actions:
        yield 'does nothing; write one of send = ["..."], hold = "reason", refuse = "reason"'
    if len(rule.actions) > 1:
        yield f"has {' and '.join(rule.actions)}; a rule does one thing"
    if rule.hold_even_approved and not rule.hold:
        yield "has hold_even_approved and holds nothing; it belongs beside hold"
    for name in rule.send:
        if name not in destinations:
            yield f'sends to "{name}", but no destination has that name{_did_you_mean(name, destinations)}'
    for number, condition in enumerate(rule.when, 1):
        for problem in _condition(condition):
            yield f"condition {number} ({condition.field}): {problem}"


def _condition(condition: Condition) -> Iterator[str]:
    kind = kind_of(condition.field)
    if kind is None:
        near = nearest_field(condition.field)
        yield "there is no such field" + (f'; did you mean "{near}"?' if near else "; config.example.toml lists them")
        return
    if len(condition.operators) != 1:
        found = " and ".join(condition.operators) or "none"
        yield f"needs exactly one operator, and has {found}"
        return
    operator = condition.operators[0]
    numeric = operator in NUMBER_OPERATORS
    if kind is FieldKind.NUMBER and not numeric and operator != "present":
        yield f"is a number; {operator} compares texts, use one of {', '.join(NUMBER_OPERATORS)}"
    if kind is FieldKind.SET and numeric:
        yield f"is a set of words; {operator} compares numbers, use equals, glob, regex or one_of"
    if condition.one_of == ():
        yield "one_of is empty, so it never holds"
    if condition.equals == "":
        yield "an empty value counts as none; write present = false"
    if condition.regex is not None and (problem := problem_with(condition.regex)):
        yield f"the pattern {problem}"


def _web(web: WebSection) -> Iterator[str]:
    if problem := web_exposure(web):
        yield problem
    if (web.tls_certificate is None) != (web.tls_key is None):
        yield "web: tls_certificate and tls_key belong together; set both or none"
    for address in web.proxy_addresses:
        try:
            ipaddress.ip_network(address)
        except ValueError as error:
            yield f'web.proxy_addresses: "{address}" is no address or CIDR network: {error}'
    if web.oidc is None:
        return
    if "openid" not in web.oidc.scopes:
        yield 'web.oidc.scopes: "openid" is missing; without it there is no sign-in'
    if not (web.oidc.viewer or web.oidc.reviewer or web.oidc.administrator):
        yield "web.oidc: no value of role_claim makes anybody a viewer, reviewer or administrator; name some"


def web_exposure(web: WebSection) -> str:
    """Why the window may not be opened like this: patients' pages in plain text on a network. "" where it may."""
    if not web.enabled or web.tls or web.allow_plain_http_beyond_loopback or _is_loopback(web.host):
        return ""
    return (
        f"web: {web.host} is beyond this machine, and passwords and patients' pages would travel in plain text; set "
        "tls_certificate and tls_key, or behind_proxy, or (knowing this) allow_plain_http_beyond_loopback"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def advice(config: Config) -> list[str]:
    """What is lawful and works, but may not be what was meant, one sentence each."""
    return [
        *_doors(config),
        *_feed(config.hl7_feed),
        *_nowhere(config),
        *_window(config.web),
        *_open_secrets(config),
    ]


def _doors(config: Config) -> Iterator[str]:
    if not config.dicom_scp.enabled and not config.fax_inbox:
        yield "no door is open: dicom_scp is disabled and there is no fax_inbox"
    scp = config.dicom_scp
    local = _is_loopback(scp.host)
    if scp.enabled and not local and not (scp.calling_ae_titles or scp.addresses):
        yield f"dicom_scp: anybody who reaches {scp.host} may send; set calling_ae_titles and addresses"
    if scp.enabled and local:
        yield f"dicom_scp: listens on {scp.host}, so only this machine can send; set host to its address in the network"


def _feed(feed: Hl7FeedSection) -> Iterator[str]:
    local = _is_loopback(feed.host)
    if feed.enabled and not local and not feed.addresses:
        yield f"hl7_feed: anybody who reaches {feed.host} may invent patients; set addresses"
    if feed.enabled and local:
        yield f"hl7_feed: listens on {feed.host}, so only this machine can send; set host to its address in the network"


def _window(web: WebSection) -> Iterator[str]:
    if web.enabled and web.allow_plain_http_beyond_loopback and not web.tls and not _is_loopback(web.host):
        yield "web: passwords and patients' pages travel in plain text; set tls_certificate and tls_key"
    if web.enabled and web.behind_proxy and not _is_loopback(web.host):
        yield f"web: whoever reaches {web.host}:{web.port} goes past the proxy; let a firewall allow the proxy only"


def _nowhere(config: Config) -> Iterator[str]:
    if not config.destination:
        yield "there is no destination: pages are digitized and kept, but nothing leaves"
    sent_to = {name for rule in config.rule for name in rule.send}
    if config.rule and config.routing.otherwise == "hold":
        for destination in config.destination:
            if destination.name not in sent_to:
                yield f'destination "{destination.name}": no rule sends to it'


def _open_secrets(config: Config) -> Iterator[str]:
    """Files with a key, password or secret that every user of this machine may read or change."""
    oidc = config.web.oidc
    files = [("data.database_url_file", config.data.database_url_file), ("web.tls_key", config.web.tls_key)]
    files.append(("web.oidc.client_secret_file", oidc.client_secret_file if oidc else None))
    for use, file in files:
        try:
            mode = file.stat().st_mode if file is not None else 0
        except OSError:  # told as a file that is missing
            continue
        if mode & (stat.S_IROTH | stat.S_IWOTH):
            does = "read" if mode & stat.S_IROTH else "change"
            yield f"{use}: every user of this machine may {does} {file}; give it to this user alone: chmod 600"


def _missing_folders(config: Config) -> Iterator[str]:
    for use, folder in _needed_folders(config):
        if not folder.is_dir():
            yield f"{use}: the folder {folder} does not exist; make it, or mount its share"
        elif not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            yield f"{use}: the folder {folder} may not be read and written by this user"


def _missing_files(config: Config) -> Iterator[str]:
    oidc = config.web.oidc
    files = [("web.tls_certificate", config.web.tls_certificate), ("web.tls_key", config.web.tls_key)]
    if oidc is not None:
        files += [("web.oidc.client_secret_file", oidc.client_secret_file), ("web.oidc.ca_file", oidc.ca_file)]
    for use, file in files if config.web.enabled else ():
        if file is not None and not os.access(file, os.R_OK):
            yield f"{use}: {file} is not there, or this user may not read it"


def _unreachable_rules(config: Config) -> Iterator[str]:
    if config.routing.match == "first":
        for place, rule in enumerate(config.rule[:-1]):
            if not rule.when:
                after = ", ".join(f'"{r.name}"' for r in config.rule[place + 1 :])
                yield f'rule "{rule.name}" has no condition and always matches, so these are never reached: {after}'
                return


def folders_of(config: Config) -> tuple[Path, ...]:
    """Every folder that the configuration names."""
    return (config.data.folder, *(folder for _, folder in _needed_folders(config)))


def _needed_folders(config: Config) -> Iterator[tuple[str, Path]]:
    yield from ((f'fax_inbox "{i.name}"', i.folder) for i in config.fax_inbox)
    for destination in config.destination:
        if isinstance(destination, FolderDestination):
            yield f'destination "{destination.name}"', destination.folder


def _did_you_mean(word: str, names: Iterable[str]) -> str:
    near = get_close_matches(word, list(names), 1, 0.5)
    return f'; did you mean "{near[0]}"?' if near else ""
