"""What the gateway raises. One tree, drawn here.

A foreign exception is translated at the door that imported its library.

GatewayError
├── Refused(code, why)      the page or the document is at fault: say so to the sender, never try again
├── TryAgain(code, why)     the world is at fault: back off, a bounded number of times, then park aloud
│   ├── QueueFull           more is waiting than the configuration allows
│   └── OutOfSpace          the disk is full, or below its reserve
├── Held(code, why)         a person must look: no patient, no acquisition date
├── LostLease               another worker owns this job or delivery now
├── UnlawfulMove            a job may not go from this state to that one
├── NotFound                no such job, delivery, destination or user
├── Conflict                what was asked contradicts what there is: a name that is taken, the last administrator
├── AuditBroken             the audit chain does not hold what was signed of it
└── ConfigError             the configuration is wrong: what, where, and what to write instead
"""


class GatewayError(Exception):
    """Anything the gateway raises on purpose."""


class CodedError(GatewayError):
    """An error with a short stable code and a sentence for a person, free of patient data.

    answer: what another system answered, as codes and so free of patient data; "" where none did.
    """

    def __init__(self, code: str, why: str, answer: str = "") -> None:
        super().__init__(f"{code}: {why}")
        self.code = code
        self.why = why
        self.answer = answer


class Refused(CodedError):
    """The page or document is at fault."""


class TryAgain(CodedError):
    """The world is at fault. attempts_max: a bound tighter than the destination's own, None to keep that one."""

    def __init__(self, code: str, why: str, attempts_max: int | None = None, answer: str = "") -> None:
        super().__init__(code, why, answer)
        self.attempts_max = attempts_max


class QueueFull(TryAgain):
    """More pages wait than the configuration allows."""


class OutOfSpace(TryAgain):
    """The disk is full, or its free space is below the configured reserve."""


class Held(CodedError):
    """A person must look before this can go on."""


class LostLease(GatewayError):
    """The lease ran out and another worker owns this work now."""


class UnlawfulMove(GatewayError):
    """A job may not go from this state to that one."""


class NotFound(GatewayError):
    """No such job, delivery, destination or user."""


class Conflict(GatewayError):
    """What was asked contradicts what there is: a name that is taken, the last administrator."""


class AuditBroken(GatewayError):
    """The audit chain does not hold what was signed of it: rows were cut off or changed, or an old copy put back."""


class ConfigError(GatewayError):
    """The configuration is wrong; the message says what, where, and what to write instead."""
