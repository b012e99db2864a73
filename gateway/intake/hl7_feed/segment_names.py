"""The names that a segment of HL7 v2 may have.

A line end within a field makes a line of what follows it, and a name may look like a segment's (III, VON). Only the
standard's own names tell both apart.
"""

from __future__ import annotations

import re

# Of every version from 2.1 to 2.9.1, the withdrawn ones too: senders keep what they once wrote.
_STANDARD = """
    ABS ACC ADD ADJ AFF AIG AIL AIP AIS AL1 APR ARQ ARV AUT BHS BLC BLG BPO BPX BTS BTX BUI CDM CDO CER CM0 CM1 CM2
    CNS CON CSP CSR CSS CTD CTI CTR DB1 DEV DG1 DMI DON DPS DRG DSC DSP ECD ECR EDU EQL EQP EQU ERQ ERR EVN FAC FHS
    FT1 FTS GOL GP1 GP2 GSC GSP GSR GT1 IAM IAR IIM ILT IN1 IN2 IN3 INV IPC IPR ISD ITM IVC IVT LAN LCC LCH LDP LOC
    LRL MCP MFA MFE MFI MRG MSA MSH NCK NDS NK1 NPU NSC NST NTE OBR OBX ODS ODT OH1 OH2 OH3 OH4 OM1 OM2 OM3 OM4 OM5
    OM6 OM7 OMC ORC ORG ORO OVR PAC PCE PCR PD1 PDA PDC PEO PES PID PKG PM1 PMT PR1 PRA PRB PRC PRD PRT PSG PSH PSL
    PSS PTH PV1 PV2 PYE QAK QID QPD QRD QRF QRI RCP RDF RDT REL RF1 RFI RGS RMI ROL RQ1 RQD RX1 RXA RXC RXD RXE RXG
    RXO RXR RXV SAC SCD SCH SCP SDD SFT SGH SGT SHP SID SLT SPM SPR STF STZ TCC TCD TQ1 TQ2 TXA UAC UB1 UB2 URD URS
    VAR VND VTQ
"""
SEGMENT_NAMES = frozenset(_STANDARD.split())
_LOCAL = re.compile("Z[A-Z0-9]{2}")  # HL7 v2.5.1 2.5.1: left to the sites


def is_segment_name(name: str) -> bool:
    """Whether a segment may be called so: by a version of HL7 v2, or by a site, with Z."""
    return name in SEGMENT_NAMES or _LOCAL.fullmatch(name) is not None
