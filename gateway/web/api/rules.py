"""The rules in force, why one fires on a page, and what other rules would have done with yesterday's traffic."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from fastapi import APIRouter

from gateway import rules as routing
from gateway.config import Config, loads
from gateway.config.loader import DATABASE_URL_VARIABLE
from gateway.errors import ConfigError, Refused
from gateway.job import Job
from gateway.judging import held_before_rules
from gateway.order import Order
from gateway.review import NO_REVIEW, reviewed
from gateway.rules import Decision, RuleTrace
from gateway.store import JobQuery
from gateway.web.api import models
from gateway.web.api.asking import PROBLEMS, Administrator, TheConfig, TheStore
from gateway.web.api.looks import in_words, looks
from gateway.web.api.reading import Read, read_of, read_page
from pipeline.recording import Recording

router = APIRouter(prefix="/api/v1/rules", tags=["rules"], responses=PROBLEMS)

REPLAY_JOBS_MAX = 500  # a page is read from disk and measured in some hundredths of a second, and a person waits


@router.get("")
def rules(who: Administrator, config: TheConfig) -> models.RulesModel:
    """The rules in force, in their order."""
    return models.RulesModel(
        match=config.routing.match,
        otherwise=config.routing.otherwise,
        confidence_min=config.pipeline.confidence_min,
        require=list(config.identity.require),
        destinations=[destination.name for destination in config.destination],
        rules=[
            models.RuleModel(
                name=rule.name,
                conditions=[models.ConditionModel(field=test.field, test=routing.test_of(test)) for test in rule.when],
                action="hold" if rule.hold else "refuse" if rule.refuse else "send",
                send=list(rule.send),
                why=rule.hold or rule.refuse,
            )
            for rule in config.rule
        ],
    )


@router.post("/explain")
def explain(who: Administrator, store: TheStore, config: TheConfig, body: models.ExplainBody) -> models.DecisionModel:
    """Which rule decides on a page that was read, and why each other does not. Shows what the page says."""
    looks.write_down(store, who.name, body.job_id, f"page {body.page} explained")
    read = read_page(store, body.job_id, body.page)
    job, order = store.job(body.job_id), store.order(body.job_id) or Order()
    asked = config if body.config_text is None else _other(config, body.config_text)
    recording = reviewed(read.recording, read.review)
    decision = _decide(asked, job, order, recording)
    return models.DecisionModel(
        action=decision.action.value,
        destinations=list(decision.destinations),
        rules=list(decision.rules),
        why=decision.why,
        held_before=list(_held_before(asked, order, read)),
        trace=[_trace(trace) for trace in decision.explanation],
    )


@router.post("/replay")
def replay(who: Administrator, store: TheStore, config: TheConfig, body: models.ReplayBody) -> models.ReplayResult:
    """Every page that was read in a stretch of time, decided once by the rules in force and once by another text.

    Nothing is sent and nothing is changed. Rules may ask whose a page is, so the look is written down.
    """
    try:
        other = _other(config, body.config_text)
    except Refused as error:
        return models.ReplayResult(problems=error.why.splitlines(), pages=0, changed=[], more=False)
    query = JobQuery(received_from=_aware(body.received_from), received_to=_aware(body.received_to))
    ids = store.worklist.newest(query, REPLAY_JOBS_MAX + 1)
    store.looked_at_many(who.name, "rules replay", in_words(query), len(ids[:REPLAY_JOBS_MAX]))
    pages, changed = 0, []
    for job_id in ids[:REPLAY_JOBS_MAX]:
        job, order, said = store.job(job_id), store.order(job_id) or Order(), store.reviews.of(job_id)
        for page in store.pages(job_id):
            read = read_of(page, said.get(page.number, NO_REVIEW))
            if read is None:
                continue
            pages += 1
            now, then = (_outcome(asked, job, order, read) for asked in (config, other))
            if now != then:
                changed.append(
                    models.ReplayRow(job_id=job_id, page=page.number, received_at=job.received_at, now=now, then=then)
                )
    return models.ReplayResult(problems=[], pages=pages, changed=changed, more=len(ids) > REPLAY_JOBS_MAX)


def _other(config: Config, text: str) -> Config:
    """A configuration that is only asked and never served: its secrets are not fetched. Raises Refused."""
    try:
        # With an address told, no file of the text's choosing is read for one.
        return loads(text, config.data.folder.parent, {DATABASE_URL_VARIABLE: "sqlite:///not-opened"}, "the text")
    except ConfigError as error:
        raise Refused("configuration", str(error)) from error


def _decide(config: Config, job: Job, order: Order, recording: Recording) -> Decision:
    names = tuple(destination.name for destination in config.destination)
    return routing.route(routing.facts_of(job.arrival, order, recording), config.rule, config.routing, names)


def _held_before(config: Config, order: Order, read: Read) -> Iterator[str]:
    """As the worker decides it: what a person approved is not held for what it was read like."""
    approved = bool(read.review.approved_sha256)
    for why in held_before_rules(config, order, read.recording):
        if not approved or why.startswith("no "):
            yield why


def _outcome(config: Config, job: Job, order: Order, read: Read) -> models.ReplayOutcome:
    held = "; ".join(_held_before(config, order, read))
    if held:
        return models.ReplayOutcome(action="hold", destinations=[], why=held)
    decision = _decide(config, job, order, reviewed(read.recording, read.review))
    return models.ReplayOutcome(
        action=decision.action.value, destinations=list(decision.destinations), why=decision.why
    )


def _trace(trace: RuleTrace) -> models.RuleTraceModel:
    return models.RuleTraceModel(
        rule=trace.rule,
        held=trace.held,
        counted=trace.counted,
        conditions=[models.ConditionTraceModel(**vars(condition)) for condition in trace.conditions],
    )


def _aware(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
