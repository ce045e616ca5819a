"""The messages of the adapter protocol: one JSON object a line, each with a published schema.

    suite                                     adapter
    {"type":"hello",...}            ──▶
                                    ◀──       {"type":"ready",...}
    {"type":"op","id":1,...}        ──▶
                                    ◀──       {"type":"invoke","id":1}
                                    ◀──       {"type":"return","id":1,"outcome":"nil"}
    {"type":"bye"}                  ──▶

What the suite sends is ASCII without escapes and without spaces between tokens, so that an adapter
in a language without a JSON library can look for ``"id":`` in the line.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator

from lastref.conformance.errors import UserError

PROTOCOL = 1
"""The version of the protocol that this suite speaks."""

ADAPTER_MESSAGES = ("ready", "invoke", "return")
MESSAGES = ("hello", "ready", "op", "invoke", "return", "bye")
"""Every message, in the order in which a conversation first shows it."""

LINE_LIMIT = 1 << 20
"""The longest line that is read, in bytes; a longer one is a protocol error, not memory."""

Message = dict[str, Any]


class ProtocolError(Exception):
    """The adapter said what the protocol does not allow; the text says what."""


@functools.cache
def schema(name: str) -> Mapping[str, Any]:
    """Return the published schema of the message ``name``."""
    file = resources.files("lastref.conformance.schemas").joinpath(f"protocol-{name}.schema.json")
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(document)
    return document


@functools.cache
def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(schema(name))


def check(message: Mapping[str, Any]) -> None:
    """Raise :class:`ProtocolError` unless ``message`` fits the schema of its type."""
    kind = message.get("type")
    if kind not in MESSAGES:
        raise ProtocolError(f"a message of type {shorten(repr(kind))}, which there is not")
    errors = sorted(_validator(kind).iter_errors(message), key=lambda error: error.json_path)
    if errors:
        where = errors[0].json_path.removeprefix("$").lstrip(".") or "the message"
        raise ProtocolError(f"'{kind}' does not fit its schema: {where}: {errors[0].message[:160]}")


def encode(message: Mapping[str, Any]) -> bytes:
    """Return ``message`` as the suite writes it; UserError where that would need an escape."""
    line = json.dumps(message, separators=(",", ":"))
    if "\\" in line:
        raise UserError(
            f"'{shorten(line)}' cannot be sent to an adapter",
            "the suite promises adapters ASCII without escapes",
            "set TMPDIR to a folder with a plain name",
        )
    return line.encode("ascii") + b"\n"


def decode(line: bytes) -> Message:
    """Return the object on ``line``; :class:`ProtocolError` if it is none."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProtocolError(f"a line that is not UTF-8 (byte {error.start})") from None
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError(f"a line that is not JSON: {shorten(text)}") from None
    if not isinstance(message, dict):
        raise ProtocolError(f"a line that is no JSON object: {shorten(text)}")
    return message


def shorten(text: str, length: int = 60) -> str:
    """Return ``text`` on one line, its end cut off where it is long, as a message shows it."""
    printable = "".join(c if c.isprintable() else "?" for c in text)
    return printable if len(printable) <= length else printable[:length] + "…"
