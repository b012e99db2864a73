"""Says what pydantic found wrong in words an administrator can act on. Never shows the value of a secret."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails

from gateway.config.models import Section

Location = tuple[int | str, ...]

_WANTED = {
    "string_type": "a text",
    "path_type": "a path, written as a text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list",
    "model_type": "a table",
    "model_attributes_type": "a table",
}
_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_PATTERNS = {
    "ae_title": "1 to 16 characters without a backslash, as an AE title is",
    "issuer": "an https:// address without a query (http:// only to this machine)",
    "public_url": "https://name or http://name, with a port if need be and without a path",
    "host": "a host name or an address, without a port or a scheme",
    "modality": 'a code such as "ECG", or "" for any',
    "name": "1 to 64 letters, digits, blanks, _ . or -, beginning with a letter or digit",
}


def problems(error: ValidationError, raw: Mapping[str, Any], root: type[Section]) -> list[str]:
    """One sentence for every problem, in the order of the file's tables."""
    return [_sentence(detail, raw, root) for detail in error.errors(include_url=False)]


def _sentence(detail: ErrorDetails, raw: Mapping[str, Any], root: type[Section]) -> str:
    location, kind, context = detail["loc"], detail["type"], detail.get("ctx", {})
    section, field = _section_at(location[:-1], root), str(location[-1])
    where = place(location, raw)
    if kind == "extra_forbidden":
        return f"{place(location[:-1], raw)}: {_unknown(field, section)}"
    if kind == "missing":
        return f'{place(location[:-1], raw)}: the key "{field}" is missing'
    if kind == "union_tag_not_found":
        return f'{where}: the key "kind" is missing; write kind = "dicom", "mllp" or "folder"'
    if kind == "union_tag_invalid":
        return f"{where}: kind must be {context['expected_tags']}{_but(context['tag'], context['expected_tags'])}"
    if kind == "tuple_type" and isinstance(detail["input"], dict):
        return f"{where}: is a list of tables; write [[{field}]] with two brackets"
    if kind in ("model_type", "model_attributes_type") and isinstance(detail["input"], list):
        return f"{where}: is one table; write [{field}] with one bracket"
    if _is_secret(section, field):
        return f"{where}: must be a text"
    shown = _show(detail["input"])
    if kind in _WANTED:
        return f"{where}: must be {_WANTED[kind]}, not {shown}{_quoted_number(kind, detail['input'])}"
    if kind in _BOUNDS:
        key, bound_text = _BOUNDS[kind]
        return f"{where}: must be {bound_text} {context[key]:g}, not {shown}"
    if kind == "literal_error":
        return f"{where}: must be {context['expected']}{_but(detail['input'], context['expected'])}"
    if kind in ("string_pattern_mismatch", "string_too_long"):
        wanted = next((text for key, text in _PATTERNS.items() if field.endswith(key)), "")
        wanted = wanted or _PATTERNS["ae_title" if "calling_ae_titles" in location else "name"]
        return f"{where}: must be {wanted}, not {shown}"
    return f"{where}: {detail['msg']}"


def place(location: Location, raw: Mapping[str, Any]) -> str:
    """A key's path in words: ``dicom_scp.port``, ``destination 2 ("pacs").port``."""
    text = ""
    here: Any = raw
    for part in location:
        if isinstance(part, int):
            here = here[part] if isinstance(here, list) and part < len(here) else {}
            name = here.get("name") if isinstance(here, dict) else None
            text += f" {part + 1}" + (f' ("{name}")' if isinstance(name, str) else "")
        elif isinstance(here, dict) and (part in here or here.get("kind") != part):  # a union's tag is no key
            here = here.get(part, {})
            text += ("." if text else "") + part
    return text or "the file"


def _unknown(key: str, section: type[Section] | None) -> str:
    names = list(section.model_fields) if section else []
    near = get_close_matches(key.lower(), names, 1, 0.5)
    if near:
        return f'there is no key "{key}"; did you mean "{near[0]}"?'
    return f'there is no key "{key}"; known are {", ".join(names)}'


def _but(value: object, expected: str) -> str:
    """Names the nearest of the allowed words, given as pydantic lists them: ``'a', 'b' or 'c'``."""
    near = get_close_matches(str(value), expected.split("'")[1::2], 1, 0.5)
    return f", not {_show(value)}" + (f'; did you mean "{near[0]}"?' if near else "")


def _show(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _quoted_number(kind: str, value: object) -> str:
    meant = r"true|false" if kind.startswith("bool") else r"[+-]?\d+(\.\d+)?"
    quoted = kind.startswith(("int", "float", "bool")) and isinstance(value, str) and re.fullmatch(meant, value)
    return " (write it without quotes)" if quoted else ""


def _is_secret(section: type[Section] | None, field: str) -> bool:
    return (
        section is not None and field in section.model_fields and (section.model_fields[field].annotation is SecretStr)
    )


def _section_at(location: Location, root: type[Section]) -> type[Section] | None:
    """The model of the table at a location; a list's index and a union's tag are steps of it too."""
    here: tuple[type[Section], ...] = (root,)
    for part in location:
        if isinstance(part, int):
            continue
        if len(here) > 1:  # a union: the part is the tag
            here = tuple(s for s in here if get_args(s.model_fields["kind"].annotation) == (part,))
        elif here and part in here[0].model_fields:
            here = tuple(_sections(here[0].model_fields[part].annotation))
    return here[0] if len(here) == 1 else None


def _sections(annotation: Any) -> Iterator[type[Section]]:
    """The tables an annotation holds, through tuples, unions and Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    elif get_origin(annotation) in (tuple, Union, types.UnionType, Annotated, Literal):
        for argument in get_args(annotation):
            yield from _sections(argument)
