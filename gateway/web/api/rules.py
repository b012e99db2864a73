"""The rules in force, why one fires on a page, and what other rules would have done with yesterday's traffic."""

from __future__ import annotations

from datetime import timedelta

from fastapi import APIRouter

from gateway.config import Config, loads
from gateway.config.loader import DATABASE_URL_VARIABLE
from gateway.disposition import rules as routing
from gateway.disposition.rules import RuleTrace
from gateway.errors import ConfigError, NotFound, Refused
from gateway.store import JobQuery
from gateway.web.api import models
from gateway.web.api.access_log import accesses, query_text
from gateway.web.api.dependencies import PROBLEMS, Administrator, TheConfig, TheStore
from gateway.web.api.job_id import whole_id
from gateway.web.api.preview import PageDisposition, page_dispositions, reviewed_job
from gateway.web.api.recordings import read_page

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
    job_id = whole_id(store, body.job_id)
    accesses.write_down(store, who.name, job_id, f"page {body.page} explained")
    read_page(store, job_id, body.page)  # NotFound where nothing was read
    rules_config = config if body.config_text is None else _other(config, body.config_text)
    disposition = page_dispositions(rules_config, reviewed_job(store, job_id)).get(body.page)
    if disposition is None:  # done again between the two looks, and this time nothing was read
        raise NotFound(f"nothing is read any more on page {body.page} of job {job_id}")
    return decision_of(disposition)


def decision_of(disposition: PageDisposition) -> models.DecisionModel:
    """What becomes of a page, and why."""
    return models.DecisionModel(
        action=disposition.own.action.value,
        destinations=list(disposition.own.destinations),
        rules=list(disposition.own.rules),
        why=disposition.own.why,
        held_before=list(disposition.held),
        disposition=_outcome(disposition),
        trace=[_trace(trace) for trace in disposition.own.explanation],
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
    query = JobQuery(received_from=body.received_from, received_to=body.received_to)
    ids = store.worklist.newest(query, REPLAY_JOBS_MAX + 1)
    store.record_access_to_many(who.name, "rules replay", query_text(query), len(ids[:REPLAY_JOBS_MAX]))
    pages, changed = 0, []
    for job_id in ids[:REPLAY_JOBS_MAX]:
        job = reviewed_job(store, job_id)
        now, then = page_dispositions(config, job), page_dispositions(other, job)
        pages += len(now)
        for number in now:
            before, after = _outcome(now[number]), _outcome(then[number])
            if before != after:
                at = job.job.received_at
                row = models.ReplayRow(job_id=job_id, page=number, received_at=at, now=before, then=after)
                changed.append(row)
    rest = ids[REPLAY_JOBS_MAX:]
    # to the newest of the rest, and with it: a time is before its end
    next_to = store.job(rest[0]).received_at + timedelta(microseconds=1) if rest else None
    return models.ReplayResult(problems=[], pages=pages, changed=changed, more=bool(rest), next_to=next_to)


def _other(config: Config, text: str) -> Config:
    """A configuration that is only asked and never served: its secrets are not fetched. Raises Refused."""
    try:
        # With an address told, no file of the text's choosing is read for one.
        return loads(text, config.data.folder.parent, {DATABASE_URL_VARIABLE: "sqlite:///not-opened"}, "the text")
    except ConfigError as error:
        raise Refused("configuration", str(error)) from error


def _outcome(disposition: PageDisposition) -> models.ReplayOutcome:
    return models.ReplayOutcome(
        action=disposition.action.value, destinations=list(disposition.destinations), why=disposition.why
    )


def _trace(trace: RuleTrace) -> models.RuleTraceModel:
    return models.RuleTraceModel(
        rule=trace.rule,
        holds=trace.holds,
        counted=trace.counted,
        approved=trace.approved,
        conditions=[models.ConditionTraceModel(**vars(condition)) for condition in trace.conditions],
    )
