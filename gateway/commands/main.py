"""The cardioscan command."""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager, closing
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from gateway.commands import jobs_table
from gateway.commands.settings import ActorOption, ConfigOption, config_path
from gateway.commands.settings import settings as settings_of
from gateway.commands.users import app as users_app
from gateway.config import Config
from gateway.errors import ConfigError, GatewayError, NotFound
from gateway.job import SHORT_ID, Door
from pipeline.errors import DeviceError, LostError, WeightsError

if TYPE_CHECKING:
    from gateway.patient_search.lookup import Lookup
    from gateway.store import Store

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Paper ECGs in, DICOM waveforms and HL7 aECG out.")
jobs_app = typer.Typer(no_args_is_help=True, help="Look at jobs and act on them.")
rules_app = typer.Typer(no_args_is_help=True, help="Routing rules.")
audit_app = typer.Typer(no_args_is_help=True, help="The audit chain.")
db_app = typer.Typer(no_args_is_help=True, help="The database.")
app.add_typer(jobs_app, name="jobs")
app.add_typer(rules_app, name="rules")
app.add_typer(audit_app, name="audit")
app.add_typer(db_app, name="db")
app.add_typer(users_app, name="user")

out = Console(emoji=False)  # a reason that holds ":x:" is no picture
err = Console(stderr=True, emoji=False)

BAD_USAGE = 2
SOME_UNREADABLE = 3
FAILED = 1


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"cardioscan {version('cardioscan-gateway')}")
        raise typer.Exit


def main() -> None:
    """The entry point: an error on purpose is one line on stderr, without a traceback."""
    try:
        app()
    except ConfigError as error:
        _marked("configuration:", "red", f" {error}", err)
        sys.exit(BAD_USAGE)
    except (GatewayError, WeightsError, DeviceError, LostError, OSError) as error:
        _marked("error:", "red", f" {error}", err)
        sys.exit(FAILED)


@app.callback()
def version_option(
    wanted: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
    ] = False,
) -> None:
    """Paper ECGs in, DICOM waveforms and HL7 aECG out."""


@app.command()
def serve(config: ConfigOption = None) -> None:
    """Run the gateway until SIGTERM or Ctrl-C.

    Without a configuration file it runs on the defaults: window and DICOM door on this machine only, and pages are kept
    to be downloaded.
    """
    from gateway.process import configure_process
    from gateway.service.app import Gateway

    settings = settings_of(config, begins=True)
    configure_process(settings)
    Gateway(settings).run()


@app.command()
def init(
    path: Annotated[Path, typer.Option("--out", help="The file to write.")] = Path("config.toml"),
    ae_title: Annotated[str | None, typer.Option(help="The AE title that senders call.")] = None,
    listen: Annotated[str, typer.Option(help="The address of the DICOM door; 0.0.0.0 for all.")] = "127.0.0.1",
    pacs: Annotated[str | None, typer.Option(help="AE@HOST:PORT of the PACS; empty for none.")] = None,
    ehr: Annotated[str | None, typer.Option(help="HOST:PORT of the EHR's MLLP listener; empty for none.")] = None,
    inbox: Annotated[str | None, typer.Option(help="The folder that faxes come into; empty for none.")] = None,
) -> None:
    """Write a short configuration. What is not given as an option is asked for."""
    from gateway.commands.init import Site, write_config

    site = Site(
        ae_title=_asked(ae_title, "AE title that senders call", "CARDIOSCAN"),
        listen=listen,
        pacs=_asked(pacs, "PACS, as AE@HOST:PORT (empty for none)", ""),
        ehr=_asked(ehr, "EHR's MLLP listener, as HOST:PORT (empty for none)", ""),
        inbox=_asked(inbox, "Folder that faxes come into (empty for none)", ""),
    )
    write_config(path, site)
    _say(f"{path} is written; now ask: cardioscan check --config {path}")


@app.command()
def demo(
    folder: Annotated[Path, typer.Option("--out", help="Where the demonstration leaves its files.")] = Path("demo-out"),
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave gateway, window and ten pages to review, until Ctrl-C.")
    ] = False,
    port: Annotated[int, typer.Option(help="The window's port, with --keep; 0 for any free one.")] = 8080,
) -> None:
    """Take two pages through a gateway between a stand-in PACS and a stand-in EHR, and show what arrived."""
    from gateway.demo.keep import keep_demo
    from gateway.demo.run import run_demo

    sys.exit(keep_demo(folder, out, port) if keep else run_demo(folder, out))


@app.command()
def digitize(
    images: Annotated[list[Path], typer.Argument(help="DICOM, PDF, TIFF, PNG, JPEG, BMP, WebP or HEIC files.")],
    folder: Annotated[Path, typer.Option("--out", help="Where the results go.")] = Path(),
    formats: Annotated[
        str, typer.Option("--format", help="Any of npz,csv,dcm,aecg,png,pdf,wfdb,edf, with commas.")
    ] = "npz",
    patient_id: Annotated[str, typer.Option(help="Written into dcm and aecg; a DICOM page brings its own.")] = "",
    acquired_at: Annotated[
        str, typer.Option(help="When the ECG was recorded, as DICOM DT (20240131143000); dcm cannot be without it.")
    ] = "",
    processes: Annotated[
        int, typer.Option(min=1, help="Files digitized at a time, by a process each that takes 2 GB of memory.")
    ] = 1,
) -> None:
    """Digitize pages, each into files named after it.

    Exit 0: every page was digitized, or is no ECG beside one in the same file; 3: some were unreadable (reasons on
    stderr, nothing written for them); 2: bad usage. A dcm or aecg that a digitized page cannot be made into, for want
    of a date say, is told on stderr and changes no exit status.
    """
    from gateway.commands.digitize import digitize_files, parse_formats
    from gateway.identity.identify import identified

    changes = {"patient_id": patient_id, "acquired_at": acquired_at}
    try:
        wanted = parse_formats(formats)
        identified(None, changes)
    except ValueError as error:
        raise _bad_usage(str(error)) from error
    missing = [image for image in images if not image.is_file()]
    if missing:
        raise _bad_usage("\n".join(f"{image}: no such file" for image in missing))
    folder.mkdir(parents=True, exist_ok=True)
    refused = digitize_files(images, folder, wanted, err, lambda own: identified(own, changes), processes)
    raise typer.Exit(SOME_UNREADABLE if refused else 0)


@app.command()
def check(
    config: ConfigOption = None,
    peers: Annotated[bool, typer.Option(help="Also try to reach every destination.")] = True,
) -> None:
    """Say what is wrong with the configuration, the database and the peers, in words to act on."""
    from gateway.commands.check import ADVICE, check_all, check_file

    settings, path = settings_of(config, begins=True), config_path(config)
    report = check_all(settings, peers=peers) + (check_file(path) if path else [])
    for line in report:
        mark, colour = ("ok", "green") if line.ok else ("problem", "red")
        if line.what == ADVICE:
            _marked(ADVICE, "yellow", f"  {line.text}", out)
        else:
            _marked(mark, colour, f"  {line.what}: {line.text}", out)
    raise typer.Exit(0 if all(line.ok for line in report) else FAILED)


@rules_app.command("explain")
def rules_explain(
    file: Annotated[Path, typer.Argument(help="A page as it would be received (DICOM, TIFF, PDF, a picture).")],
    config: ConfigOption = None,
    sender: Annotated[str, typer.Option(help="The sender to assume (AE title, inbox name or user).")] = "",
    called: Annotated[str, typer.Option(help="The called AE title to assume.")] = "",
    door: Annotated[
        Door | None, typer.Option(help="The door to assume; without it dicom, or fax where there is an inbox, or web.")
    ] = None,
) -> None:
    """Digitize FILE and say which rule matched and why each other did not."""
    from gateway.commands.explain import explain_file

    for line in explain_file(settings_of(config), file, sender=sender, called=called, door=door):
        _say(line)


@jobs_app.command("list")
def jobs_list(
    config: ConfigOption = None,
    state: Annotated[str, typer.Option(help="Only this state: received, digitized, delivered, held, refused.")] = "",
    limit: Annotated[int, typer.Option(help="At most this many, newest first.")] = 50,
    wide: Annotated[bool, typer.Option("--wide", help="Everything, however long the lines.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as one JSON object per line.")] = False,
) -> None:
    """List jobs, newest first: a line each, as wide as the terminal. Ids are short; every command takes them so."""
    from gateway.job import State

    try:
        wanted = State(state) if state else None
    except ValueError as error:
        raise _bad_usage(f"no such state: {state}; one of {', '.join(State)}") from error
    with _open_store(settings_of(config)) as store:
        jobs = store.jobs(wanted, limit, 0)
    if as_json:
        for job in jobs:
            _say(json.dumps(asdict(job), default=str, ensure_ascii=False))
    elif wide:
        Console(emoji=False, width=jobs_table.WIDE).print(jobs_table.wide(jobs))
    else:
        out.print(jobs_table.short(jobs, out.width))


@jobs_app.command("show")
def jobs_show(job_id: str, config: ConfigOption = None) -> None:
    """Show one job: its pages, its deliveries and the reasons."""
    with _open_store(settings_of(config)) as store:
        job_id = _whole(store, job_id)
        job = store.job(job_id)
        pages, deliveries = store.pages(job_id), store.deliveries(job_id)
    _say(f"{job.job_id}  {job.state}  {job.code}  {job.why}")
    _say(f"sha256 {job.sha256}, {job.size_bytes} bytes, from {job.arrival.door} {job.arrival.sender}")
    for page in pages:
        _say(f"page {page.number}: {page.verdict} {page.code} {page.why}")
    table = _table("destination", "document", "name", "state", "attempts", "why")
    for row in deliveries:
        table.add_row(*_cells(row.destination, row.kind, row.name, row.state, str(row.attempts), row.why))
    out.print(table)


@jobs_app.command("retry")
def jobs_retry(job_id: str, config: ConfigOption = None, actor: ActorOption = "") -> None:
    """Digitize a held or refused job again."""
    with _open_store(settings_of(config)) as store:
        job_id = _whole(store, job_id)
        store.retry(job_id, _named(actor))
    _say(f"{job_id} waits for a worker again")


@jobs_app.command("resend")
def jobs_resend(
    job_id: str,
    config: ConfigOption = None,
    destination: Annotated[str, typer.Option(help="Only to this destination.")] = "",
    actor: ActorOption = "",
) -> None:
    """Send a job's documents again, the same bytes under the same names."""
    with _open_store(settings_of(config)) as store:
        job_id = _whole(store, job_id)
        store.resend(job_id, _named(actor), destination or None)
    _say(f"{job_id} is queued again")


@jobs_app.command("identify")
def jobs_identify(
    job_id: str,
    patient_id: Annotated[str, typer.Option(help="The patient's identifier.")],
    config: ConfigOption = None,
    issuer: Annotated[str, typer.Option(help="Who issued the identifier.")] = "",
    name: Annotated[str, typer.Option(help="Family, Given; or Family^Given^Middle^Prefix^Suffix.")] = "",
    birth_date: Annotated[str, typer.Option(help="1960-02-01, 01.02.1960 or 19600201")] = "",
    sex: Annotated[str, typer.Option(help="M, F or O")] = "",
    accession_number: Annotated[str, typer.Option()] = "",
    acquired_at: Annotated[str, typer.Option(help="When the ECG was recorded: 2024-01-31 14:30")] = "",
    all_pages: Annotated[
        bool, typer.Option("--all-pages", help="Every page of a document with several ECGs is this patient's.")
    ] = False,
    even_so: Annotated[
        str, typer.Option(help="The code that was shown with what is known otherwise of this id: it is right even so.")
    ] = "",
    actor: ActorOption = "",
) -> None:
    """Say whose ECG a held job is; it is digitized and sent as that patient's.

    Another patient than the page came with takes nothing over from that one: name, birth date, sex, study and order
    numbers are as given here, or empty. Who is known under this id is told. Exit 2: an option is not lawful; the
    document has several ECG pages, which may be of several patients, and --all-pages was not given; or worklists, feeds
    or earlier ECGs know another patient under this id, and --even-so was not given with the code of what is known.
    """
    from datetime import datetime

    from gateway.disposition.page_count import ecg_pages
    from gateway.identity.identify import identified, is_another_patient
    from gateway.patient_search.lookup import find_candidates

    changes = {
        "patient_id": patient_id,
        "issuer": issuer,
        "name": name,
        "birth_date": birth_date,
        "sex": sex,
        "accession_number": accession_number,
        "acquired_at": acquired_at,
    }
    settings = settings_of(config)
    with _open_store(settings) as store:
        job_id = _whole(store, job_id)
        before = store.order(job_id)
        try:
            order = identified(before, changes)
        except ValueError as error:
            raise _bad_usage(str(error)) from error
        count = 1 if all_pages else ecg_pages(settings, store, job_id)
        if count > 1:
            raise _bad_usage(
                f"the document has {count} ECG pages, which may be of several patients: look at them, and give "
                "--all-pages if every one is this patient's"
            )
        named = _named(actor)
        found = find_candidates(settings.worklist, store, order.patient, datetime.now().astimezone(), job_id)
        _say_candidates(found)
        if found.contradicting and even_so != found.code:
            raise _bad_usage(f"{found.why} Look again; if it is right all the same, give --even-so {found.code}")
        store.identify(job_id, order, named, overridden=found.overridden)
    if before is not None and is_another_patient(before, changes):
        _say("another patient: nothing that the page came with about its patient, study or order was kept")
    _say(f"{job_id} is identified and waits for a worker again")


@audit_app.command("verify")
def audit_verify(
    config: ConfigOption = None,
    against: Annotated[
        Path | None, typer.Option("--against", help="A signed checkpoint, or a folder of them, kept elsewhere.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", help="The .pub file of who signed them; our own key without it.")
    ] = None,
) -> None:
    """Recompute the chain and prove that every acknowledged page is accounted for.

    A page that is received or digitized is accounted for too, but not finished: how many there are is told. Without
    --against nothing shows that the whole chain was made anew, or that its end was cut off with the head set back.
    """
    from gateway.commands.verify import verify

    settings = settings_of(config)
    with _open_store(settings) as store:
        problems, summary = verify(store, settings, against, key)
    for problem in problems:
        _say(problem, err)
    for line in summary:
        _say(line)
    raise typer.Exit(FAILED if problems else 0)


@audit_app.command("checkpoint")
def audit_checkpoint(config: ConfigOption = None) -> None:
    """Sign the head of the chain now, into the folder of checkpoints. The gateway does so by itself, now and then."""
    settings = settings_of(config)
    with _open_store(settings) as store:
        _say(str(store.checkpoints(settings.audit).write()))


@audit_app.command("export")
def audit_export(
    config: ConfigOption = None,
    file: Annotated[Path | None, typer.Option("--out", help="A file; standard output without it.")] = None,
) -> None:
    """Write the audit as JSON lines with its hashes."""
    with _open_store(settings_of(config)) as store:
        if file is None:
            store.export_audit(sys.stdout)
        else:
            with file.open("w", encoding="utf-8") as stream:
                store.export_audit(stream)


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="Where the copy goes; one that is there is brought up to date.")],
    config: ConfigOption = None,
) -> None:
    """Copy database, pages, documents and the key of the audit into FOLDER, while the gateway runs."""
    from gateway.store import back_up

    made = back_up(settings_of(config).data, folder)
    _say(f"{folder} holds the database of revision {made.revision} and {made.objects} objects")
    _say(f"head: row {made.rows}, {made.head_hash}")


@app.command()
def restore(folder: Annotated[Path, typer.Argument(help="What backup wrote.")], config: ConfigOption = None) -> None:
    """Put a backup into an empty data folder, and prove what came back."""
    from gateway.commands.verify import verify_restored
    from gateway.store import restore as put_back

    settings = settings_of(config, begins=True)
    made = put_back(settings.data, folder)
    _say(f"the backup of {made.made_at} is restored into {settings.data.folder}")
    with _open_store(settings) as store:
        problems, summary = verify_restored(store, settings)
    for problem in problems:
        _say(problem, err)
    for line in summary:
        _say(line)
    raise typer.Exit(FAILED if problems else 0)


@db_app.command("upgrade")
def db_upgrade(config: ConfigOption = None) -> None:
    """Bring the database schema to this version."""
    with _open_store(settings_of(config, begins=True)) as store:
        _say(store.check())


@app.command()
def describe() -> None:
    """Print the DICOM and HL7 conformance statement."""
    from gateway.commands.describe import describe as text

    print(text(), end="")


def _asked(given: str | None, question: str, default: str) -> str:
    """An option's value, or what is typed."""
    return given if given is not None else str(typer.prompt(question, default=default, show_default=bool(default)))


def _say_candidates(found: Lookup) -> None:
    """Who is known under an id, and which worklists may know more."""
    for each in found.candidates:
        patient = each.patient
        about = ", ".join(filter(None, (patient.name, patient.birth_date, patient.sex))) or "no name"
        _say(f"known under this id: {about}, by {each.source_names}")
    for silent in found.unanswered:
        _say(f"worklist {silent.name} did not tell all it may know: {silent.why}", err)


def _say(line: str, console: Console = out) -> None:
    """One line as it is: texts of peers and people hold brackets, which are no markup of ours."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _marked(mark: str, colour: str, line: str, console: Console) -> None:
    """A coloured word, then a line as it is."""
    console.print(Text.assemble((mark, colour), line), highlight=False, soft_wrap=True)


def _table(*columns: str) -> Table:
    """A table that wraps what does not fit and cuts nothing; its first column is what one copies: it stays whole."""
    first, *rest = columns
    return Table(Column(first, no_wrap=True, overflow="fold"), *(Column(name, overflow="fold") for name in rest))


def _cells(*texts: str) -> list[Text]:
    """Cells as they are: a string would be read as markup."""
    return [Text(text) for text in texts]


def _bad_usage(why: str) -> typer.Exit:
    """Says why on stderr; to be raised."""
    _say(why, err)
    return typer.Exit(BAD_USAGE)


def _open_store(config: Config) -> AbstractContextManager[Store]:
    from gateway.store import Store

    return closing(Store.open(config.data))


def _whole(store: Store, beginning: str) -> str:
    """The id of the one job that begins so; what none begins with is left to be told of.

    Exit 2 where several do, and for less than the list shows: nobody means a job by that.
    """
    beginning = beginning.strip().lower()
    if len(beginning) < SHORT_ID:
        raise _bad_usage(f"{beginning!r} is too short for a job's id: give at least {SHORT_ID} characters")
    ids = store.worklist.beginning(beginning, 2)
    if len(ids) > 1:
        raise _bad_usage(f"more than one job begins with {beginning}: {', '.join(ids)}; give more of the id")
    return ids[0] if ids else beginning


def _named(actor: str) -> str:
    actor = actor.strip()
    if not actor:
        raise NotFound("the audit must name who does this: give --actor NAME")
    if ":" in actor:  # deliver:PACS and dicom:SCANNER are the gateway's own parts, which no four-eyes rule counts
        raise _bad_usage(f"{actor!r} names no person: give --actor without a colon")
    return actor
