"""The segments before the results: who sends, whose ECG, who asked for it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from gateway.emit import identity
from gateway.emit.emitted import derived_id
from gateway.emit.hl7v2.addressing import Addressing
from gateway.emit.hl7v2.text import coded, designator, escaped, fields, joined, time
from gateway.errors import Held
from gateway.identity.order import Order
from gateway.mapping import mappings

ONCE = "1"
PRELIMINARY = "P"  # HL7 tables 0123 and 0085

_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")


def header(msh: Any, to: Addressing, message_time: datetime) -> None:
    """MSH but its control id."""
    for field, text in (
        ("msh_3", designator(to.sending_application)),
        ("msh_4", designator(to.sending_facility)),
        ("msh_5", designator(to.receiving_application)),
        ("msh_6", designator(to.receiving_facility)),
        ("msh_7", time(message_time)),
        ("msh_9", "ORU^R01" if to.version == "2.3" else "ORU^R01^ORU_R01"),
        ("msh_11", "P"),  # table 0103, production
        ("msh_12", to.version),
        ("msh_18", to.character_set),
    ):
        if text:
            setattr(msh, field, text)


def patient(pid: Any, order: Order) -> None:
    """PID. Raises Held(no_patient, bad_identity)."""
    who = order.patient
    if not who.patient_id:
        raise Held("no_patient", "a result must name its patient and nothing says who it is; identify the page")
    pid.pid_1 = "1"
    issuer = identity.plain("issuer of patient id", who.issuer)
    authority = f"&{issuer}&ISO" if _OID.fullmatch(issuer) else escaped(issuer)
    pid.pid_3 = joined(escaped(identity.plain("patient id", who.patient_id)), "", "", authority, "MR")
    names = identity.person_names("patient name", who.name)
    for name, representation in zip(names, ("A", "I", "P"), strict=False):  # table 0465
        if name != identity.PersonName():
            field = pid.add_field("PID_5")
            field.value = fields(
                name.family,
                name.given,
                name.middle,
                name.suffix,
                name.prefix,
                "",
                "",
                representation * (len(names) > 1),
            )
    if born := identity.like("birth date", who.birth_date, identity.DATE):
        pid.pid_7 = born
    if sex := identity.like("sex", who.sex, identity.SEX):
        pid.pid_8 = sex


def visit(pv1: Any, order: Order) -> None:
    """PV1. Raises Held(bad_identity)."""
    pv1.pv1_1 = "1"
    pv1.pv1_2 = "U"  # table 0004, unknown: a page does not tell whether its patient was admitted
    if name := identity.one_name("referring physician", order.referring_physician):
        pv1.pv1_8 = fields("", name.family, name.given, name.middle, name.suffix, name.prefix)
    if order.visit_number:
        pv1.pv1_19 = escaped(identity.plain("visit number", order.visit_number))


def request(orc: Any, obr: Any, order: Order, filler: str, acquired: str, message_time: datetime) -> None:
    """ORC and OBR. Raises Held(bad_identity)."""
    placer = escaped(identity.plain("placer order number", order.placer_order_number))
    study = mappings().study
    for segment, field, text in (
        (orc, "orc_1", "RE"),
        (orc, "orc_2", placer),
        (orc, "orc_3", filler),
        (obr, "obr_1", "1"),
        (obr, "obr_2", placer),
        (obr, "obr_3", filler),
        (obr, "obr_4", coded(study)),
        (obr, "obr_7", acquired),
        (obr, "obr_18", escaped(identity.plain("accession number", order.accession_number))),  # where IHE SWF puts it
        (obr, "obr_22", time(message_time)),
        (obr, "obr_24", study.section),
        (obr, "obr_25", PRELIMINARY),
    ):
        if text:
            setattr(segment, field, text)
    if orc.version == "2.3":  # which requires quantity and timing; where there is none, it takes 1
        orc.orc_7 = obr.obr_27 = ONCE


def filler_number(order: Order, to: Addressing, source_sha256: str, page: int) -> str:
    """The filler order number of whoever keeps the order, else one of our own for this page of this document."""
    if order.filler_order_number:
        return escaped(identity.plain("filler order number", order.filler_order_number))
    own = derived_id("filler", source_sha256, str(page), length=16)
    return joined(own, *designator(to.sending_application).split("^"))
