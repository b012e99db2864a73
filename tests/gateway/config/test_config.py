"""The configuration: what loads, what each mistake is told, and the example file against the models both ways."""

from __future__ import annotations

import re
import tomllib
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from pydantic import SecretStr, ValidationError
from pydantic_core import PydanticUndefined

from gateway.config import (
    Condition,
    Config,
    DicomDestination,
    FaxInboxSection,
    FolderDestination,
    PipelineSection,
    RoutingSection,
    Rule,
    Section,
    advice,
    check_config,
    contradictions,
    load,
    loads,
)
from gateway.config.fields import FIELDS, kind_of, nearest_field
from gateway.config.models import OPERATORS
from gateway.config.patterns import problem_with
from gateway.errors import ConfigError
from pipeline.networks import DEVICES

EXAMPLE = Path(__file__).parents[3] / "config.example.toml"
OFF = re.compile(r"^#(?=[a-z_]+ = |\[|\]|    \{)", re.MULTILINE)  # a setting that is off, not a comment

PACS = """
[[destination]]
kind = "dicom"
name = "pacs"
host = "pacs"
port = 104
called_ae_title = "PACS"
"""

OIDC = """
[web.oidc]
issuer = "https://login.example"
client_id = "c"
public_url = "https://ecg.example"
"""


def read(text: str, folder: Path = Path("/etc/cardioscan"), **environment: str) -> Config:
    return loads(text, folder, environment, "site.toml")


def mistakes(text: str) -> list[str]:
    """What is said of a configuration, without the file's name in front of each line."""
    with pytest.raises(ConfigError) as caught:
        read(text)
    lines = str(caught.value).splitlines()
    assert all(line.startswith("site.toml: ") for line in lines)
    return [line.removeprefix("site.toml: ") for line in lines]


def mistake(text: str) -> str:
    """The only thing that is said of it."""
    (line,) = mistakes(text)
    return line


def test_an_empty_file_is_all_defaults_with_its_paths_made_absolute() -> None:
    config = read("")
    assert config.data.folder == Path("/etc/cardioscan/data")
    assert config == Config().model_copy(update={"data": config.data})


def test_paths_count_from_the_folder_of_the_file(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text(
        '[data]\nfolder = "../kept"\n[[fax_inbox]]\nname = "f"\nfolder = "in"\n'
        '[[destination]]\nkind = "folder"\nname = "a"\nfolder = "/srv/out"\n'
    )
    config = load(site)
    assert config.data.folder == tmp_path / "../kept"
    assert config.fax_inbox[0].folder == tmp_path / "in"
    assert isinstance(config.destination[0], FolderDestination)
    assert config.destination[0].folder == Path("/srv/out")


def test_a_home_folder_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read('[data]\nfolder = "~/kept"').data.folder == tmp_path / "kept"


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_bytes(b'\xef\xbb\xbf[logging]\nlevel = "DEBUG"\n')
    assert load(tmp_path / "site.toml").logging.level == "DEBUG"


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.toml: cannot be read: No such file"):
        load(tmp_path / "nothing.toml")
    (tmp_path / "latin.toml").write_bytes(b"# M\xfcnchen\n")
    with pytest.raises(ConfigError, match="is not UTF-8 at byte 3"):
        load(tmp_path / "latin.toml")
    with pytest.raises(ConfigError, match=r"is no TOML: .*line 2"):
        read("[data]\nfolder = \n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[dicom_scp]\nprot = 104", 'dicom_scp: there is no key "prot"; did you mean "port"?'),
        ("[dicom_scp]\nPORT = 104", 'dicom_scp: there is no key "PORT"; did you mean "port"?'),
        ("[dicom]\nport = 104", 'the file: there is no key "dicom"; did you mean "dicom_scp"?'),
        ("[logging]\nzzz = 1", 'logging: there is no key "zzz"; known are level'),
        (PACS + "backof = {}", 'destination 1 ("pacs"): there is no key "backof"; did you mean "backoff"?'),
        (
            PACS + "[destination.backoff]\nattempt_max = 3",
            'destination 1 ("pacs").backoff: there is no key "attempt_max"; did you mean "attempts_max"?',
        ),
        (
            '[[rule]]\nname = "r"\nhold = "x"\nwhen = [{ field = "door", equal = "fax" }]',
            'rule 1 ("r").when 1: there is no key "equal"; did you mean "equals"?',
        ),
    ],
)
def test_an_unknown_key_names_its_table_and_the_nearest_known_one(text: str, said: str) -> None:
    assert mistake(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[dicom_scp]\nport = "104"', 'dicom_scp.port: must be a whole number, not "104" (write it without quotes)'),
        ("[dicom_scp]\nport = 104.5", "dicom_scp.port: must be a whole number, not 104.5"),
        ("[dicom_scp]\nport = true", "dicom_scp.port: must be a whole number, not true"),
        ("[dicom_scp]\nport = 70000", "dicom_scp.port: must be at most 65535, not 70000"),
        ("[dicom_scp]\nassociations_max = 0", "dicom_scp.associations_max: must be at least 1, not 0"),
        ("[worker]\nlease_s = 0", "worker.lease_s: must be more than 0, not 0"),
        ("[worker]\nlease_s = inf", "worker.lease_s: must be a finite number, not inf"),
        ("[worker]\nlease_s = 2024-01-31", 'worker.lease_s: must be a number, not "2024-01-31"'),
        ("[dicom_scp]\nenabled = 1", "dicom_scp.enabled: must be true or false, not 1"),
        ("[dicom_scp]\nhost = 7", "dicom_scp.host: must be a text, not 7"),
        (
            '[dicom_scp]\ncalling_ae_titles = "CART"',
            'dicom_scp.calling_ae_titles: must be a list, not "CART"',
        ),
        (
            '[dicom_scp]\ncalling_ae_titles = ["CART", "A\\\\B"]',
            "dicom_scp.calling_ae_titles 2: must be 1 to 16 characters without a backslash, "
            'as an AE title is, not "A\\B"',
        ),
        (
            '[dicom_scp]\nae_title = "12345678901234567"',
            "dicom_scp.ae_title: must be 1 to 16 characters without a backslash, as an AE title is, "
            'not "12345678901234567"',
        ),
        (
            PACS.replace('"pacs"', '"dicom://pacs"', 2).replace('name = "dicom://pacs"', 'name = "pacs"'),
            'destination 1 ("pacs").host: must be a host name or an address, without a port or a scheme, '
            'not "dicom://pacs"',
        ),
        (
            '[logging]\nlevel = "info"',
            "logging.level: must be 'DEBUG', 'INFO', 'WARNING' or 'ERROR', not \"info\"",
        ),
        (
            '[routing]\nmatch = "frist"',
            "routing.match: must be 'first' or 'all', not \"frist\"; did you mean \"first\"?",
        ),
        ("[fax_inbox]\nname = 'f'", "fax_inbox: is a list of tables; write [[fax_inbox]] with two brackets"),
        ("[[limits]]\npages_max = 3", "limits: is one table; write [limits] with one bracket"),
        ("limits = 3", "limits: must be a table, not 3"),
        ('[[fax_inbox]]\nname = "f"', 'fax_inbox 1 ("f"): the key "folder" is missing'),
        (
            '[[destination]]\nname = "x"',
            'destination 1 ("x"): the key "kind" is missing; write kind = "dicom", "mllp" or "folder"',
        ),
        (
            '[[destination]]\nname = "x"\nkind = "dicomm"',
            "destination 1 (\"x\"): kind must be 'dicom', 'mllp', 'folder', not \"dicomm\"; did you mean \"dicom\"?",
        ),
    ],
)
def test_a_wrong_value_is_told_with_its_place_and_what_to_write(text: str, said: str) -> None:
    assert mistake(text) == said


def test_all_mistakes_are_told_at_once() -> None:
    assert len(mistakes("[data]\nqueue_max = 0\nreserve = 1\n[logging]\nlevel = 3\n")) == 3


def folder(name: str, path: str) -> str:
    return f'[[destination]]\nkind = "folder"\nname = "{name}"\nfolder = "{path}"\n'


def inbox(name: str, path: str, pattern: str = "") -> str:
    return f"[[fax_inbox]]\nname = '{name}'\nfolder = '{path}'\nfile_name_pattern = '{pattern}'\n"


def worklist(key: str = "") -> str:
    return f'[[worklist]]\nname = "ris"\nhost = "h"\nport = 104\ncalled_ae_title = "RIS"\n{key}\n'


def rule(condition: str) -> str:
    return f'[[rule]]\nname = "r"\nhold = "x"\nwhen = [{{ {condition} }}]\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PACS + PACS, 'destination: the name "pacs" is used 2 times; each needs its own'),
        (inbox("f", "a") + inbox("f", "b"), 'fax_inbox: the name "f" is used 2 times; each needs its own'),
        (worklist() + worklist(), 'worklist: the name "ris" is used 2 times; each needs its own'),
        (
            worklist('modality = "E*"'),
            'worklist 1 ("ris").modality: must be a code such as "ECG", or "" for any, not "E*"',
        ),
        (worklist("timeout_s = 61"), 'worklist 1 ("ris").timeout_s: must be at most 60, not 61'),
        ('[[rule]]\nname = "r"\nhold = "x"\n' * 3, 'rule: the name "r" is used 3 times; each needs its own'),
        (
            inbox("f", "in") + folder("out", "../cardioscan/in"),
            'destination "out": its folder /etc/cardioscan/../cardioscan/in is also that of fax_inbox "f"; '
            "give each its own",
        ),
        (
            inbox("f", "in") + inbox("g", "in"),
            'fax_inbox "g": its folder /etc/cardioscan/in is also that of fax_inbox "f"; give each its own',
        ),
        (
            folder("out", "data"),
            'destination "out": its folder /etc/cardioscan/data is also that of data.folder; give each its own',
        ),
        (
            '[dicom_scp]\naddresses = ["10.0.0.0/8", "10.1.2.3/8"]',
            'dicom_scp.addresses: "10.1.2.3/8" is no address or CIDR network: 10.1.2.3/8 has host bits set',
        ),
        (
            '[hl7_feed]\naddresses = ["engine"]',
            'hl7_feed.addresses: "engine" is no address or CIDR network: '
            "'engine' does not appear to be an IPv4 or IPv6 network",
        ),
        (
            "[hl7_feed]\nenabled = true\nport = 11112",
            "hl7_feed: its port 11112 is also that of dicom_scp; give each its own",
        ),
        (
            '[hl7_feed]\nenabled = true\nhost = "0.0.0.0"\nport = 8080',
            "web: its port 8080 is also that of hl7_feed; give each its own",
        ),
        (
            inbox("f", "in", "(?P<patient_id>"),
            'fax_inbox "f": file_name_pattern is no regular expression: '
            "missing ), unterminated subpattern at position 0",
        ),
        (
            inbox("f", "in", "[0-9]+"),
            'fax_inbox "f": file_name_pattern names no group; write for example (?P<patient_id>[0-9]+)_.*',
        ),
        (
            inbox("f", "in", "(?P<patient>[0-9]+)"),
            'fax_inbox "f": file_name_pattern has a group "patient", which is no key of an order; '
            'did you mean "patient_id"?',
        ),
        ('[identity]\nrequire = ["patient"]', 'identity.require: there is no "patient"; did you mean "patient_id"?'),
        ('[identity]\nacquired_at_from = ["AcqDate"]', 'identity.acquired_at_from: "AcqDate" is no DICOM keyword'),
        (
            PACS + '[[rule]]\nname = "r"\nsend = ["pasc"]',
            'rule "r": sends to "pasc", but no destination has that name; did you mean "pacs"?',
        ),
        (
            '[[rule]]\nname = "r"',
            'rule "r": does nothing; write one of send = ["..."], hold = "reason", refuse = "reason"',
        ),
        (
            PACS + '[[rule]]\nname = "r"\nsend = ["pacs"]\nhold = "x"',
            'rule "r": has send and hold; a rule does one thing',
        ),
        ('[[rule]]\nname = "r"\nsend = []\nrefuse = "x"', 'rule "r": has send and refuse; a rule does one thing'),
        (
            rule('field = "dor", equals = "fax"'),
            'rule "r": condition 1 (dor): there is no such field; did you mean "door"?',
        ),
        (
            rule('field = "confidence", at_least = 1'),
            'rule "r": condition 1 (confidence): there is no such field; did you mean "quality.confidence"?',
        ),
        (
            rule('field = "dicom.PatinetID", present = true'),
            'rule "r": condition 1 (dicom.PatinetID): there is no such field; did you mean "dicom.PatientID"?',
        ),
        (rule('field = "door"'), 'rule "r": condition 1 (door): needs exactly one operator, and has none'),
        (
            rule('field = "door", equals = "fax", glob = "f*"'),
            'rule "r": condition 1 (door): needs exactly one operator, and has equals and glob',
        ),
        (
            rule('field = "quality.confidence", equals = "0.5"'),
            'rule "r": condition 1 (quality.confidence): is a number; equals compares texts, '
            "use one of less_than, at_most, greater_than, at_least",
        ),
        (
            rule('field = "finding", at_least = 2'),
            'rule "r": condition 1 (finding): is a set of words; at_least compares numbers, '
            "use equals, glob, regex or one_of",
        ),
        (rule('field = "door", one_of = []'), 'rule "r": condition 1 (door): one_of is empty, so it never holds'),
        (
            rule('field = "sender", equals = ""'),
            'rule "r": condition 1 (sender): an empty value counts as none; write present = false',
        ),
        (
            rule('field = "sender", regex = "("'),
            'rule "r": condition 1 (sender): the pattern is no regular expression: '
            "missing ), unterminated subpattern at position 0",
        ),
        (
            rule('field = "sender", regex = "(a+)+b"'),
            'rule "r": condition 1 (sender): the pattern repeats (by +) a group that itself repeats or chooses, '
            "which may take for ever to match",
        ),
        (
            '[web]\nhost = "0.0.0.0"',
            "web: 0.0.0.0 is beyond this machine, and passwords and patients' pages would travel in plain text; set "
            "tls_certificate and tls_key, or behind_proxy, or (knowing this) allow_plain_http_beyond_loopback",
        ),
        (
            '[web]\ntls_certificate = "ecg.pem"',
            "web: tls_certificate and tls_key belong together; set both or none",
        ),
        (
            '[web]\nproxy_addresses = ["proxy"]',
            'web.proxy_addresses: "proxy" is no address or CIDR network: '
            "'proxy' does not appear to be an IPv4 or IPv6 network",
        ),
        (OIDC + 'viewer = ["v"]\nscopes = []', 'web.oidc.scopes: "openid" is missing; without it there is no sign-in'),
        (
            OIDC,
            "web.oidc: no value of role_claim makes anybody a viewer, reviewer or administrator; name some",
        ),
        (
            OIDC.replace("https:", "http:") + 'viewer = ["v"]',
            "web.oidc.issuer: must be an https:// address without a query (http:// only to this machine), "
            'not "http://login.example"',
        ),
    ],
)
def test_a_contradiction_is_told(text: str, said: str) -> None:
    assert mistake(text) == said


@pytest.mark.parametrize(
    "text",
    [
        'host = "127.0.0.5"',
        'host = "localhost"',
        'host = "::1"',
        'host = "0.0.0.0"\ntls_certificate = "a"\ntls_key = "b"',
        'host = "0.0.0.0"\nbehind_proxy = true',
        'host = "0.0.0.0"\nallow_plain_http_beyond_loopback = true',
        'host = "0.0.0.0"\nenabled = false',
    ],
)
def test_the_window_opens_to_this_machine_or_behind_tls_or_when_told_so(text: str) -> None:
    assert read(f"[web]\n{text}").web.host


@pytest.mark.parametrize(
    ("mode", "does"), [(0o644, "read"), (0o604, "read"), (0o602, "change"), (0o640, ""), (0o600, "")]
)
def test_advice_tells_of_keys_and_secrets_that_everybody_may_read(tmp_path: Path, mode: int, does: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(mode)
    oidc = {"issuer": "https://id.example", "client_id": "c", "public_url": "https://g.example"}
    config = Config.model_validate(
        {
            "data": {"database_url_file": secret},
            "web": {"tls_key": secret, "tls_certificate": secret, "oidc": {**oidc, "client_secret_file": secret}},
        }
    )
    keys = ("data.database_url_file", "web.tls_key", "web.oidc.client_secret_file")
    told = [line for line in advice(config) if "every user" in line]
    expected = [
        f"{key}: every user of this machine may {does} {secret}; give it to this user alone: chmod 600" for key in keys
    ]
    assert told == (expected if does else [])


def test_advice_tells_of_a_window_in_plain_text() -> None:
    config = read('[web]\nhost = "0.0.0.0"\nallow_plain_http_beyond_loopback = true')
    assert [line for line in advice(config) if line.startswith("web:")] == [
        "web: passwords and patients' pages travel in plain text; set tls_certificate and tls_key"
    ]


def test_a_missing_certificate_is_told_with_its_place(tmp_path: Path) -> None:
    config = read('[web]\ntls_certificate = "ecg.pem"\ntls_key = "ecg.key"', tmp_path)
    assert [line.split(" is not")[0] for line in check_config(config)] == [
        f"web.tls_certificate: {tmp_path}/ecg.pem",
        f"web.tls_key: {tmp_path}/ecg.key",
    ]


def test_a_rule_may_send_nowhere_if_it_says_so() -> None:
    assert read('[[rule]]\nname = "r"\nsend = []').rule[0].actions == ("send",)


def test_two_destinations_may_share_a_folder() -> None:
    assert len(read(folder("a", "out") + folder("b", "out")).destination) == 2


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+b", "(a*)*", "(a|a)*b", "(a|ab)+", "((a+)b)*", "(?:a+)+", "(?P<x>a+)+", "(a?){9}", "(a{2,})+",
        "(?i)(a+)+", "(?i:(a|b)*)+", "((?=a+)a)+", "([)]+)+", r"(\)+)+", "(a+){2}", "(?>a+)+", "(?#)(a+)+",
        "(a+?)+", "(a++)+", "(a{,5})*", "(?P<x>a)(?:(?P=x)+)+", "a*a*a*a*b", ".*.*.*.*", "(?x)a b", "(?ix) (a) +",
        "(?x: (a +) + )", "a{3,}a{3,}a{3,}a{3,}",
        "x" * 201, "(", "*a",
    ],
)  # fmt: skip
def test_a_dangerous_or_broken_pattern_is_refused(pattern: str) -> None:
    assert problem_with(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "", "CART[0-9]+", "(CART|SCAN)[0-9]+", "(abc)+", r"(\d{4})+", "(a+b)?", "(a|b)?c", ".*ECG.*",
        "[(a+)+]x", r"\(a+\)+",
        "(?i)ecg.*", "(?P<patient_id>[0-9]+)_.*", "(?:a{3})*", "a{2,5}", "()*", "[]+]*", "[^]a]+", "{}",
        "{a}", "a{2", "(?#a+)b",
    ],
)  # fmt: skip
def test_a_harmless_pattern_is_allowed(pattern: str) -> None:
    assert problem_with(pattern) == ""


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    config = read('[data]\ndatabase_url = "postgresql://u:hunter2@db/x"')
    assert config.data.database_url.get_secret_value() == "postgresql://u:hunter2@db/x"
    assert "hunter2" not in repr(config) + str(config) + config.model_dump_json()
    assert "hunter2" not in mistake('[data]\ndatabase_url = ["hunter2"]')
    assert "hunter2" not in mistake('[data]\ndatabse_url = "hunter2"')


def test_the_database_url_comes_from_a_file_or_the_environment(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://file\n")
    text = '[data]\ndatabase_url_file = "url"'
    assert read(text, tmp_path).data.database_url == SecretStr("postgresql://file")
    fromenv = read(text, tmp_path, CARDIOSCAN_DATABASE_URL="postgresql://env")
    assert fromenv.data.database_url == SecretStr("postgresql://env")
    assert read("", tmp_path, CARDIOSCAN_DATABASE_URL=" ").data.database_url == SecretStr("")


def test_the_process_environment_is_used_where_no_other_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARDIOSCAN_DATABASE_URL", "postgresql://env")
    assert loads("", Path("/")).data.database_url == SecretStr("postgresql://env")


def test_a_secret_file_that_does_not_serve_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data.database_url_file: .*url: No such file"):
        read('[data]\ndatabase_url_file = "url"', tmp_path)
    (tmp_path / "url").touch()
    with pytest.raises(ConfigError, match="is empty"):
        read('[data]\ndatabase_url_file = "url"', tmp_path)
    with pytest.raises(ConfigError, match="both set"):
        read('[data]\ndatabase_url_file = "url"\ndatabase_url = "x"', tmp_path)


def test_check_tells_of_folders_that_are_missing_and_rules_never_reached(tmp_path: Path) -> None:
    config = Config(
        fax_inbox=(FaxInboxSection(name="f", folder=tmp_path / "in"),),
        destination=(FolderDestination(kind="folder", name="a", folder=tmp_path),),
        rule=(Rule(name="all", send=("a",)), Rule(name="late", hold="x"), Rule(name="later", hold="x")),
    )
    assert check_config(config) == [
        'rule "all" has no condition and always matches, so these are never reached: "late", "later"',
        f'fax_inbox "f": the folder {tmp_path}/in does not exist; make it, or mount its share',
    ]
    everything = config.model_copy(update={"routing": RoutingSection(match="all")})
    assert len(check_config(everything)) == 1


def test_check_tells_contradictions_of_a_configuration_made_in_code() -> None:
    config = Config(rule=(Rule(name="r", when=(Condition(field="dor", equals="x"),), send=("nowhere",)),))
    assert len(contradictions(config)) == 2
    assert check_config(config)[:2] == contradictions(config)


def test_a_rule_of_the_example_about_confidence_can_decide() -> None:
    """What is below pipeline.confidence_min is held before any rule is asked."""
    example = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    tests = [test for rule in example["rule"] for test in rule.get("when", ()) if test["field"] == "quality.confidence"]
    assert tests
    assert all(test["less_than"] > example["pipeline"]["confidence_min"] for test in tests)


def test_advice_tells_of_doors_open_to_anybody_and_destinations_without_use() -> None:
    pacs = DicomDestination(kind="dicom", name="pacs", host="h", port=1, called_ae_title="X")
    assert advice(Config()) == [
        "dicom_scp: listens on 127.0.0.1, so only this machine can send; set host to its address in the network",
        "there is no destination: pages are digitized and kept, but nothing leaves",
    ]
    open_door = Config.model_validate({"dicom_scp": {"host": "0.0.0.0"}, "destination": (pacs,)})
    assert advice(open_door) == ["dicom_scp: anybody who reaches 0.0.0.0 may send; set calling_ae_titles and addresses"]
    feeds = {"enabled": True}, {"enabled": True, "host": "0.0.0.0"}
    told = [advice(Config.model_validate({"hl7_feed": feed, "destination": (pacs,)}))[1:] for feed in feeds]
    assert told == [
        ["hl7_feed: listens on 127.0.0.1, so only this machine can send; set host to its address in the network"],
        ["hl7_feed: anybody who reaches 0.0.0.0 may invent patients; set addresses"],
    ]
    shut = Config.model_validate(
        {"dicom_scp": {"enabled": False}, "destination": (pacs,), "rule": (Rule(name="r", hold="x"),)}
    )
    assert advice(shut) == [
        "no door is open: dicom_scp is disabled and there is no fax_inbox",
        'destination "pacs": no rule sends to it',
    ]


def test_doors_may_share_a_port_at_different_addresses_or_when_one_is_shut() -> None:
    apart = {"hl7_feed": {"enabled": True, "host": "10.0.0.1", "port": 8080}}
    shut = {"hl7_feed": {"enabled": False, "port": 8080}}
    free = {"hl7_feed": {"enabled": True, "port": 0}, "dicom_scp": {"port": 0}}
    assert [contradictions(Config.model_validate(sections)) for sections in (apart, shut, free)] == [[], [], []]


def test_the_configuration_is_frozen() -> None:
    with pytest.raises(ValidationError):
        Config().data.queue_max = 3  # type: ignore[misc]


def test_every_fixed_field_has_a_kind_and_a_mistyped_one_a_neighbour() -> None:
    assert all(kind_of(field) for field in FIELDS)
    assert nearest_field("laoyut") == "layout"
    assert nearest_field("order.acession_number") == "order.accession_number"
    assert nearest_field("xyzzy") == ""


# ---- the example file -----------------------------------------------------------------------------------------------


def whole_example() -> str:
    """The example with every setting on."""
    return OFF.sub("", EXAMPLE.read_text("utf-8"))


def sections(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    elif get_origin(annotation) in (tuple, Union, types.UnionType, Annotated):
        for argument in get_args(annotation):
            yield from sections(argument)


def keys_of_models(model: type[Section], table: str = "") -> Iterator[tuple[str, str, Any]]:
    """(table, key, default) of every key; a destination's table carries its kind."""
    for key, field in model.model_fields.items():
        inner = list(sections(field.annotation))
        for section in inner:
            kind = get_args(section.model_fields["kind"].annotation)[0] if len(inner) > 1 else ""
            yield from keys_of_models(section, f"{table}{key}.{kind + '.' if kind else ''}")
        if not inner or field.is_required() or field.default == ():
            default = field.default_factory if field.default is PydanticUndefined else field.default
            yield table, key, default


def test_the_example_loads_as_it_is_and_with_every_setting_on(tmp_path: Path) -> None:
    example = load(EXAMPLE, {})
    assert [d.kind for d in example.destination] == ["dicom", "mllp", "folder"]
    (tmp_path / "database_url.secret").write_text("postgresql://x")
    text = re.sub(r"^database_url = .*", "", whole_example(), flags=re.MULTILINE)  # one of the two only
    assert read(text, tmp_path).fax_inbox[0].name == "ward 3"
    assert re.search(r"^database_url = .*", whole_example(), re.MULTILINE)


def keys_of_example() -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()

    def walk(value: dict[str, Any], table: str) -> None:
        for key, inner in value.items():
            tables = [t for t in (inner if isinstance(inner, list) else [inner]) if isinstance(t, dict)]
            for each in tables:
                kind = f"{each['kind']}." if "kind" in each else ""
                walk(each, f"{table}{key}.{kind}")
            found.add((table, key))

    walk(tomllib.loads(whole_example()), "")
    return found


def test_the_example_has_every_key_of_the_models_and_no_other() -> None:
    models = {(table, key) for table, key, _ in keys_of_models(Config)}
    backoffs = {(table, key) for table, key in models if ".backoff." in table and ".dicom." not in table}
    sections_only = {
        (table, key) for table, key in keys_of_example() if any(t.startswith(f"{table}{key}.") for t, _ in models)
    }
    assert keys_of_example() - sections_only == models - backoffs - sections_only


def documented() -> list[tuple[str, str, str]]:
    """(table, key, the comment above it) of every key line of the example."""
    table, comment, found = "", "", []
    for line in EXAMPLE.read_text("utf-8").splitlines():
        on = OFF.sub("", line)
        if match := re.match(r"\[+([a-z0-9_.]+)\]+$", on):
            table, comment = match[1] + ".", ""
        elif match := re.match(r"([a-z_]+) = (.*)", on):
            if match[1] == "kind":
                table = f"{table.removesuffix('.')}.{match[2].strip(chr(34))}."
            found.append((table, match[1], comment))
            comment = ""
        elif line.startswith("# "):
            comment += line[1:]
        elif not line.strip():
            comment = ""
    return found


def test_every_key_of_the_example_tells_its_true_default_or_that_it_is_required() -> None:
    defaults = {(table, key): default for table, key, default in keys_of_models(Config)}
    for table, key, comment in documented():
        table = table.replace("destination.dicom.backoff", "destination.backoff")
        default = defaults[table.replace("destination.backoff", "destination.dicom.backoff"), key]
        told = re.search(r"Default: (?:`(.*?)`|(none))", comment)
        if "Required." in comment:
            assert default is None, (table, key)
            assert not told, (table, key)
            continue
        assert told, (table, key, comment)
        value = None if told[2] else tomllib.loads(f"v = {told[1]}")["v"]
        expected = default.get_secret_value() if isinstance(default, SecretStr) else default
        assert value == (
            list(expected) if isinstance(expected, tuple) else str(expected) if isinstance(expected, Path) else expected
        ), (table, key)


def test_the_example_names_every_field_and_uses_every_operator() -> None:
    text = whole_example()
    assert [field for field in FIELDS if not re.search(rf"\b{re.escape(field)}\b", text)] == []
    used = {operator for r in tomllib.loads(text)["rule"] for c in r.get("when", ()) for operator in c}
    assert used - {"field", "negate"} == set(OPERATORS)


def test_the_devices_that_may_be_named_are_those_that_networks_know() -> None:
    assert get_args(PipelineSection.model_fields["device"].annotation) == DEVICES
