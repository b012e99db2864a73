"""The leads that the window marks as doubtful are those that the report marks."""

from __future__ import annotations

from gateway.emit.channels import channels
from gateway.role import Role
from pipeline.recording import Finding, Lead, Severity
from tests.gateway.web.api.world import World
from tests.recordings import three_by_four


def test_a_warning_about_the_page_marks_no_lead_and_one_about_a_lead_marks_that_lead(world: World) -> None:
    findings = (Finding("pulse_not_found", Severity.WARNING), Finding("sigma_large", Severity.WARNING, Lead.II))
    told = three_by_four(findings=findings)
    job_id = world.job(0.5, findings)
    strips = world.get(f"/jobs/{job_id}/pages/1/waveform", Role.VIEWER)["strips"]
    shown = {(strip["lead"], strip["rhythm"]): strip["doubt"] for strip in strips}
    assert {lead for (lead, _), doubt in shown.items() if doubt} == {"II"}
    assert set(shown.values()) == {"", "?"}
    assert sorted(channel.doubt for channel in channels(told)) == sorted(shown.values())
