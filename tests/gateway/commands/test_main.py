"""The command line: what it says and with which exit status."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from gateway.commands import main
from gateway.commands.describe import describe
from gateway.commands.digitize import FORMATS, parse_formats
from gateway.config import AuditSection, Config, load
from gateway.identity.order import Order, Patient
from gateway.job import SHORT_ID, Outcome, PageResult, State, Verdict
from gateway.store import Store, receiving
from pipeline.recording import TWELVE
from pipeline.score import kaggle_db
from pipeline.synth.heart import synthetic_ecg
from pipeline.synth.other import render_not_an_ecg
from pipeline.synth.page import clean_page
from tests.gateway.storing import arrival, claimed, receive, settled

README = Path(__file__).parents[3] / "README.md"
run = CliRunner()


@pytest.mark.parametrize("processes", ["1", "2"])
def test_digitize_writes_what_others_measure_us_by(tmp_path: Path, processes: str) -> None:
    rendered = clean_page(synthetic_ecg(np.random.default_rng(7), 10.0, 500), 500, seed=7)
    good, letter = tmp_path / "good.png", tmp_path / "letter.png"
    Image.fromarray(rendered.page.image).save(good, dpi=rendered.page.dpi or (200, 200))
    Image.fromarray(render_not_an_ecg(1).image).save(letter)
    out = tmp_path / "out"
    words = ["digitize", str(good), str(letter), "--out", str(out), "--format", ",".join(FORMATS)]
    words += ["--patient-id", "P1", "--acquired-at", "20240131", "--processes", processes]
    answer = run.invoke(main.app, words)
    assert answer.exit_code == 3, answer.output
    assert "not_an_ecg" in answer.stderr
    names = sorted(path.name for path in out.iterdir())
    assert names == sorted(
        [
            "good.npz",
            "good.csv",
            "good.dcm",
            "good.xml",
            "good.png",
            "good.pdf",
            "good.wfdb.zip",
            "good.edf",
            "good.json",
        ]
    )
    with np.load(out / "good.npz") as arrays:
        assert arrays["millivolts"].dtype == np.float32
        assert arrays["millivolts"].shape[0] == len(TWELVE)
        assert arrays["sigma_mv"].shape == arrays["seen"].shape == arrays["millivolts"].shape
        assert arrays["seen"].dtype == np.uint8
        assert int(arrays["rate_hz"]) == int(arrays["strip_rate_hz"]) == 500
        assert len(arrays["strip_millivolts"]) == len(arrays["strip_lead"]) == len(arrays["strip_start_s"]) == 13
        assert kaggle_db(rendered.truth.recording.twelve().millivolts, arrays["millivolts"]) >= 14
    summary = json.loads((out / "good.json").read_text())
    assert summary["layout"] == "3x4+1"
    assert 0 <= summary["confidence"] <= 1


def test_digitize_without_a_date_writes_all_but_the_waveform_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "page.png"
    rendered = clean_page(synthetic_ecg(np.random.default_rng(8), 10.0, 500), 500, seed=8)
    Image.fromarray(rendered.page.image).save(path)
    answer = run.invoke(main.app, ["digitize", str(path), "--out", str(tmp_path / "o"), "--format", "npz,dcm"])
    assert answer.exit_code == 0, answer.output
    assert "no dcm written" in answer.stderr
    assert sorted(p.name for p in (tmp_path / "o").iterdir()) == ["page.json", "page.npz"]


@pytest.mark.parametrize(
    "words", [["digitize", "nowhere.png"], ["digitize", __file__, "--format", "gif"], ["digitize"]]
)
def test_bad_usage_is_exit_2(words: list[str]) -> None:
    assert run.invoke(main.app, words).exit_code == 2


def test_formats_are_named_when_one_is_unknown() -> None:
    with pytest.raises(ValueError, match="npz,csv,dcm,aecg,png,pdf,wfdb,edf, not gif"):
        parse_formats("npz,gif")


def test_describe_prints_what_conformance_holds() -> None:
    answer = run.invoke(main.app, ["describe"])
    assert answer.stdout == describe()


def test_the_readme_names_every_command() -> None:
    text = README.read_text(encoding="utf-8")
    groups = {group.name: group.typer_instance for group in main.app.registered_groups}
    for command in main.app.registered_commands:
        assert f"`{(command.name or command.callback.__name__)}" in text
    for name, group in groups.items():
        assert f"`{name} " in text
        for command in group.registered_commands:
            assert re.search(rf"`({name} )?{command.name}[` ]", text), command.name


def test_a_wrong_configuration_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[dicom_scp]\nae_titel = "X"\n')
    monkeypatch.setattr("sys.argv", ["cardioscan", "check", "--config", str(path)])
    with pytest.raises(SystemExit) as stop:
        main.main()
    assert stop.value.code == 2


def test_jobs_and_audit_of_an_empty_gateway(tmp_path: Path) -> None:
    path, _ = _configured(tmp_path)
    assert run.invoke(main.app, ["db", "upgrade", "--config", str(path)]).exit_code == 0
    assert run.invoke(main.app, ["jobs", "list", "--config", str(path)]).exit_code == 0
    assert run.invoke(main.app, ["jobs", "list", "--state", "lost", "--config", str(path)]).exit_code == 2
    answer = run.invoke(main.app, ["audit", "verify", "--config", str(path)])
    assert answer.exit_code == 0
    assert "verified: 0 audit rows, 0 jobs, 0 of them unfinished" in answer.stdout
    assert run.invoke(main.app, ["audit", "export", "--config", str(path)]).stdout == ""
    assert run.invoke(main.app, ["check", "--no-peers", "--config", str(path)]).exit_code == 0


def test_shows_texts_of_others_as_they_are_and_cuts_none(tmp_path: Path) -> None:
    path, config = _configured(tmp_path)
    why = "[bold]not[/x] :warning: ours\\"
    with closing(Store.open(config.data)) as store:
        first = receive(store, b"a page", arrival(sender="[/x]")).job_id
        store.settle(
            claimed(store), Outcome(State.HELD, "no_patient_id", why, (PageResult(1, Verdict.HELD, "c", why),))
        )
        second = receive(store, b"another", arrival(sender="[red]SIXTEEN]")).job_id
    words = ["jobs", "list", "--config", str(path)]
    listed = run.invoke(main.app, [*words, "--wide"], env={"COLUMNS": "80"})
    assert listed.exit_code == 0, listed.output
    assert why in listed.stdout
    told = [json.loads(line) for line in run.invoke(main.app, [*words, "--json"]).stdout.splitlines()]
    assert [(each["job_id"], each["why"]) for each in told] == [(second, ""), (first, why)]
    assert told[1]["arrival"]["sender"] == "[/x]"
    assert first in listed.stdout
    assert second in listed.stdout
    assert "[/x]" in listed.stdout
    assert "…" not in listed.stdout
    shown = run.invoke(main.app, ["jobs", "show", first, "--config", str(path)])
    assert shown.exit_code == 0, shown.output
    assert f"held  no_patient_id  {why}" in shown.stdout
    assert f"page 1: held c {why}" in shown.stdout
    assert "from dicom [/x]" in shown.stdout
    verified = run.invoke(main.app, ["audit", "verify", "--config", str(path)])
    assert re.search(r"verified: \d+ audit rows, 2 jobs, 1 of them unfinished", verified.stdout)


def test_verify_prints_the_head_and_holds_the_chain_against_checkpoints_kept_elsewhere(tmp_path: Path) -> None:
    path, config = _configured(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    with closing(Store.open(config.data)) as store:
        receive(store, b"a page")
        store.checkpoints(AuditSection(checkpoint_folder=elsewhere)).write()
        head = store.verify_audit().head_hash
    words = ["audit", "verify", "--config", str(path), "--against", str(elsewhere)]
    (key,) = elsewhere.glob("*.pub")
    for more in ([], ["--key", str(key)]):
        told = run.invoke(main.app, [*words, *more])
        assert told.exit_code == 0, told.output
        assert f"head: row 1, {head}" in told.stdout
        assert "1 of 1 checkpoints agree" in told.stdout
    shutil.copy(next(elsewhere.glob("*.checkpoint")), elsewhere / "other.checkpoint")
    with (elsewhere / "other.checkpoint").open("a", encoding="utf-8") as file:
        file.write("— nobody AAAA\n")
    assert run.invoke(main.app, words).exit_code == 0  # a further signature is lawful
    (elsewhere / "other.checkpoint").write_text("nothing\n", encoding="utf-8")
    wrong = run.invoke(main.app, words)
    assert wrong.exit_code == 1
    assert "NOT verified" in wrong.stdout
    assert "checkpoint other.checkpoint is no signed note" in wrong.stderr


def test_a_list_of_jobs_fits_eighty_columns_and_its_short_ids_are_taken(tmp_path: Path) -> None:
    path, config = _configured(tmp_path)
    with closing(Store.open(config.data)) as store:
        ids = [
            settled(store, Outcome(State.HELD, "bad_acquisition_date", "no date"), b"page %d" % number)
            for number in range(3)
        ]
        ids += [receive(store, b"another", arrival(sender="A_VERY_LONG_NAME_OF_A_SCANNER_IN_WARD_SEVEN")).job_id]
    words = ["--config", str(path)]
    answer = run.invoke(main.app, ["jobs", "list", *words], env={"COLUMNS": "80"})
    lines = answer.stdout.splitlines()
    rows = [line for line in lines if line[:SHORT_ID] in {job_id[:SHORT_ID] for job_id in ids}]
    assert [row[:SHORT_ID] for row in rows] == [job_id[:SHORT_ID] for job_id in reversed(ids)]
    assert max(map(len, lines)) <= 80
    assert "…" in rows[0]
    assert rows[0].split()[1] == "received"
    assert all("bad_acquisition_date" in row and " held " in row for row in rows[1:])
    assert re.search(r" \d{4}-\d\d-\d\d \d\d:\d\d ", rows[0])
    beginning = ids[0][:SHORT_ID]
    assert ids[0] in run.invoke(main.app, ["jobs", "show", beginning, *words]).stdout
    again = run.invoke(main.app, ["jobs", "retry", beginning, "--actor", "me", *words])
    assert (again.exit_code, again.stdout) == (0, f"{ids[0]} waits for a worker again\n")


@pytest.mark.parametrize("beginning", ["", "3", "deadbee", "        "])
def test_less_of_an_id_than_the_list_shows_names_no_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beginning: str
) -> None:
    path, config = _configured(tmp_path)
    with closing(Store.open(config.data)) as store:
        monkeypatch.setattr(receiving, "new_id", lambda: "deadbeef" + "0" * 24)
        settled(store, Outcome(State.HELD, "no_patient_id", "who?"))
        before = store.verify_audit().rows
    for command in (["show"], ["retry", "--actor", "me"], ["resend", "--actor", "me"]):
        answer = run.invoke(main.app, ["jobs", command[0], beginning, *command[1:], "--config", str(path)])
        assert answer.exit_code == 2
        assert "8 characters" in answer.stderr
    with closing(Store.open(config.data)) as store:
        assert store.verify_audit().rows == before


def test_a_beginning_that_two_jobs_share_names_neither(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, config = _configured(tmp_path)
    ids = iter(["deadbeef" + "0" * 24, "deadbeef" + "1" * 24])
    with closing(Store.open(config.data)) as store, monkeypatch.context() as patched:
        patched.setattr(receiving, "new_id", lambda: next(ids))
        receive(store, b"one", arrival(patient_id="deadbeef"))
        receive(store, b"two")
    words = ["--config", str(path)]
    several = run.invoke(main.app, ["jobs", "show", "DEADBEEF", *words])
    assert (several.exit_code, "give more of the id" in several.stderr) == (2, True)
    assert "deadbeef" + "1" * 24 in run.invoke(main.app, ["jobs", "show", "deadbeef1", *words]).stdout


def test_who_acts_is_no_door_and_no_machine(tmp_path: Path) -> None:
    path, config = _configured(tmp_path)
    with closing(Store.open(config.data)) as store:
        job_id = settled(store, Outcome(State.HELD, "no_patient_id", "who?"))
    words = ["jobs", "identify", job_id, "--patient-id", "4711", "--all-pages", "--config", str(path), "--actor"]
    for actor in ("dicom:SCANNER", "ri:ta", " "):
        assert run.invoke(main.app, [*words, actor]).exit_code != 0
    with closing(Store.open(config.data)) as store:
        assert store.job(job_id).state is State.HELD
    assert run.invoke(main.app, [*words, "rita"]).exit_code == 0
    with closing(Store.open(config.data)) as store:
        assert store.reviews.identified_by(job_id) == {"rita"}


def test_an_error_is_told_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, _ = _configured(tmp_path)
    monkeypatch.setattr("sys.argv", ["cardioscan", "jobs", "show", "[/x]job-1", "--config", str(path)])
    with pytest.raises(SystemExit) as stop:
        main.main()
    assert stop.value.code == 1
    assert "[/x]job-1" in capsys.readouterr().err


def _configured(folder: Path) -> tuple[Path, Config]:
    path = folder / "config.toml"
    path.write_text(f'[data]\nfolder = "{folder}/data"\nreserve_mb = 0\n[dicom_scp]\nport = 0\n[web]\nport = 0\n')
    return path, load(path)


def test_identify_gives_one_identity_to_several_pages_only_when_told_so(tmp_path: Path) -> None:
    path, config = _configured(tmp_path)
    pages = tuple(PageResult(n, Verdict.DIGITIZED, recording_npz=b"npz %d" % n) for n in (1, 2))
    with closing(Store.open(config.data)) as store:
        job_id = settled(store, Outcome(State.HELD, "no_patient_id", "none", pages))
        words = ["jobs", "identify", job_id, "--config", str(path), "--actor", "me", "--patient-id", "222"]
        wrong = run.invoke(main.app, [*words, "--sex", "female"])
        assert wrong.exit_code == 2
        assert "M, F or O" in wrong.stderr
        refused = run.invoke(main.app, words)
        assert refused.exit_code == 2
        assert "2 ECG pages" in refused.stderr
        assert store.job(job_id).state == State.HELD
        told = run.invoke(main.app, [*words, "--all-pages"])
        assert told.exit_code == 0, told.output
        assert "another patient" in told.stdout
        assert store.job(job_id).state == State.RECEIVED
        order = store.order(job_id)
        assert order is not None
        assert order.patient == Patient("222")


def test_identify_stops_where_an_id_is_known_as_another_s(tmp_path: Path) -> None:
    path, config = _configured(tmp_path)
    with closing(Store.open(config.data)) as store:
        first = settled(store, Outcome(State.HELD, "no_patient_id", "none"))
        store.identify(first, Order(patient=Patient("222", name="Able^Ada")), "me")
        store.settle(claimed(store), Outcome(State.HELD, "low_confidence", "unsure"))
        job_id = settled(store, Outcome(State.HELD, "no_patient_id", "none"), b"another")
    words = ["jobs", "identify", job_id, "--config", str(path), "--actor", "me", "--patient-id", "222", "--all-pages"]
    words += ["--name", "Roe, Richard"]
    stopped = run.invoke(main.app, words)
    assert stopped.exit_code == 2
    assert "known under this id: Able^Ada, by an earlier ECG" in stopped.stdout
    assert run.invoke(main.app, [*words, "--even-so", "yes"]).exit_code == 2
    with closing(Store.open(config.data)) as store:  # somebody else becomes known after the first was shown
        third = settled(store, Outcome(State.HELD, "no_patient_id", "none"), b"a third")
        store.identify(third, Order(patient=Patient("222", name="Zwei^Zoe")), "me")
        store.settle(claimed(store), Outcome(State.HELD, "low_confidence", "unsure"))
    again = run.invoke(main.app, [*words, "--even-so", _even_so(stopped.stderr)])
    assert again.exit_code == 2
    assert "known under this id: Zwei^Zoe, by an earlier ECG" in again.stdout
    assert run.invoke(main.app, [*words, "--even-so", _even_so(again.stderr)]).exit_code == 0
    with closing(Store.open(config.data)) as store:
        entries = [json.loads(line) for line in store.audit_lines()]
    assert any("name of an earlier ECG" in str(entry) for entry in entries)


def _even_so(stderr: str) -> str:
    """The code in what a stopped identity was answered."""
    return stderr.split("--even-so")[1].split()[0]
