"""Writing one context value into a cdk.json, with the rest of the file as it was."""

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined] # the standard library's own, without a type
from pathlib import Path
from typing import Any

from ..errors import DocumentError

_SPACE = re.compile(r"\s*")
_LINE_START = re.compile(r"[ \t]*")
_DECODER = json.JSONDecoder()


def write_context(file: Path, key: str, value: Any) -> None:
    """Set a context value in a cdk.json; every other character of the file stays.

    Raises:
        DocumentError: The file is missing, cannot be read or written, or is not JSON with an object at its top.
    """
    try:
        text = file.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentError(f"cannot be read: {error}", file=str(file)) from None
    changed = with_context(text.replace("\r\n", "\n"), key, value, file=str(file))
    if "\r\n" in text:
        changed = changed.replace("\n", "\r\n")
    try:
        file.write_bytes(changed.encode("utf-8"))
    except OSError as error:
        raise DocumentError(f"cannot be written: {error.strerror or error}", file=str(file)) from None


def with_context(text: str, key: str, value: Any, *, file: str = "cdk.json") -> str:
    """The text of a cdk.json with a context value set.

    Raises:
        DocumentError: The text is not JSON with an object at its top, or its `context` is not an object.
    """
    try:
        whole = json.loads(text)
    except json.JSONDecodeError as error:
        raise DocumentError(f"not JSON: {error.msg}", file=file, line=error.lineno, column=error.colno) from None
    if not isinstance(whole, dict) or not isinstance(whole.get("context", {}), dict):
        raise DocumentError("must be a JSON object whose context is an object", file=file)
    top = _after_space(text, 0)
    if "context" not in whole:
        return _set(text, top, "context", {key: value})
    return _set(text, _members(text, top)["context"][0], key, value)


def _set(text: str, at: int, key: str, value: Any) -> str:
    """The text with a member of the object at a place set, in the layout of the members around it."""
    members = _members(text, at)
    first = _after_space(text, at + 1)
    lead = text[at + 1 : first]  # what stands before the first member
    if key in members:
        start, end = members[key]
        return text[:start] + _dumped(value, lead) + text[end:]
    if members:
        end = max(end for _, end in members.values())
        return f"{text[:end]},{lead or ' '}{json.dumps(key)}: {_dumped(value, lead)}{text[end:]}"
    outer = _LINE_START.search(text, text.rfind("\n", 0, at) + 1)
    ending = f"\n{outer[0] if outer else ''}" if "\n" in text else ""
    lead = f"{ending}  " if ending else ""
    return f"{text[: at + 1]}{lead}{json.dumps(key)}: {_dumped(value, lead)}{ending}{text[first:]}"


def _members(text: str, at: int) -> dict[str, tuple[int, int]]:
    """The members of the object at a place, each with the begin and the end of its value."""
    found: dict[str, tuple[int, int]] = {}
    place = _after_space(text, at + 1)
    while text[place] != "}":
        name, place = scanstring(text, place + 1)
        start = _after_space(text, text.index(":", place) + 1)
        _, end = _DECODER.raw_decode(text, start)
        found[name] = (start, end)
        place = _after_space(text, end)
        if text[place] == ",":
            place = _after_space(text, place + 1)
    return found


def _dumped(value: Any, lead: str) -> str:
    """A value as JSON; in lines below the member that holds it where that stands in a line of its own."""
    if "\n" not in lead:
        return json.dumps(value, ensure_ascii=False)
    indent = lead.rpartition("\n")[2]
    return json.dumps(value, indent="\t" if "\t" in indent else 2, ensure_ascii=False).replace("\n", f"\n{indent}")


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
