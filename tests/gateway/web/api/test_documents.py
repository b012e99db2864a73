"""A document that is looked at in the window."""

from __future__ import annotations

from tests.gateway.web.api.world import World


def test_a_document_that_was_erased_is_not_found(world: World) -> None:
    job_id = world.job()
    (row, *_) = world.store.deliveries(job_id)
    world.store.object_path(row.sha256).unlink()
    for path in (f"{row.kind}", f"{row.kind}/words"):
        world.get(f"/jobs/{job_id}/documents/{path}", expect=404)
