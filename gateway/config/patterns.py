"""Regular expressions of the configuration, refused where matching one could take for ever.

The administrator writes the pattern, a stranger sends the value, and Python's matcher backtracks without a limit:
``(a+)+b`` takes hours on forty a's (ReDoS). So a pattern is short, has few open repeats, and repeats no group that
itself repeats or chooses; and what it is matched against is cut to a length (gateway.disposition.rules).
"""

from __future__ import annotations

import re

LENGTH_MAX = 200  # characters: a readable pattern is shorter
# k open repeats in a pattern that must match a whole value of n characters cost at most n**k / k! steps:
# 3 on the 256 characters that gateway.disposition.rules allows are 3 million, well under a second.
OPEN_REPEATS_MAX = 3

_TOKEN = re.compile(
    r"""\\.                                       # an escaped character
      | \[\^?\]?(?:\\.|[^\]\\])*\]                # a character class
      | \(\?\#[^)]*\) | \(\?P=\w+\) | \(\?[a-zA-Z]+\)     # a comment, a back reference, flags: no group
      | \((?:\?(?:P<\w+>|[a-zA-Z-]*:|[=!>]|<[=!]|\(\w+\)))?   # the start of a group
      | \)                                        # its end
      | (?:[*+?]|\{(?:\d+(?:,\d*)?|,\d*)\})[?+]?  # a repeat
      | .                                         # anything else
    """,
    re.VERBOSE | re.DOTALL,
)
_FLAG_X = re.compile(r"\(\?[a-zA-Z]*x[a-zA-Z-]*[:)]")
_EXACTLY = re.compile(r"\{\d+\}")


def problem_with(pattern: str, open_repeats_max: int = OPEN_REPEATS_MAX) -> str:
    """Why a pattern may not be used, "" where it may."""
    if len(pattern) > LENGTH_MAX:
        return f"is {len(pattern)} characters long; at most {LENGTH_MAX} are allowed"
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"is no regular expression: {error}"
    return _danger(_TOKEN.findall(pattern), open_repeats_max)


def _danger(tokens: list[str], open_repeats_max: int) -> str:
    restless = [False]  # for every group that is open, the whole pattern first: does it repeat or choose inside?
    closed_restless = False  # the token before closed such a group
    open_repeats = 0
    for token in tokens:
        after_restless, closed_restless = closed_restless, False
        if _FLAG_X.match(token):
            return "uses the verbose flag (?x), which cannot be checked; write it without"
        if token == ")":
            closed_restless = restless.pop()
            restless[-1] |= closed_restless
        elif token == "|":
            restless[-1] = True
        elif (token[0] == "(" and token[-1] != ")") or token.startswith("(?("):
            restless.append(False)
        elif token[0] in "*+?" or (token[0] == "{" and len(token) > 1):
            if after_restless and token[0] != "?":
                return f"repeats (by {token}) a group that itself repeats or chooses, which may take for ever to match"
            open_repeats += token[0] in "*+" or "," in token
            restless[-1] |= not _EXACTLY.match(token)
    if open_repeats > open_repeats_max:
        return f"has {open_repeats} open repeats (*, +, {{n,}}); at most {open_repeats_max} are allowed"
    return ""
