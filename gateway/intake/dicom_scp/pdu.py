"""What is known of a PDU before it is read (PS3.8 9.3)."""

from __future__ import annotations

import struct

HEADER_BYTES = 6  # PS3.8 9.3.1: type, reserved, length
ASSOCIATE_RQ = 0x01
# 128 presentation contexts with every transfer syntax there is come to about 150 KB
ASSOCIATE_MAX_BYTES = 256 * 1024
P_DATA_TF = 0x04
# PS3.8 D.1: the maximum length counts the PDV items; some senders count their own header out
SLACK_BYTES = 1024
SMALL_MAX_BYTES = 1024  # release and abort are 4 bytes
# A-ABORT by the service provider, reason "invalid PDU parameter value" (PS3.8 9.3.8)
ABORT = struct.pack(">BBI4B", 0x07, 0, 4, 0, 0, 2, 6)
# A-ASSOCIATE-RJ: transient, by the provider's presentation part, "local limit exceeded" (PS3.8 9.3.4)
REJECT = struct.pack(">BBL4B", 0x03, 0, 4, 0, 2, 3, 2)
