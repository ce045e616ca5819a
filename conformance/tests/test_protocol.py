"""The protocol's messages and rules, and that its document is what the schemas say."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from lastref.conformance.checker import Checker
from lastref.conformance.errors import UserError
from lastref.conformance.gated import Gating
from lastref.conformance.outcomes import Status
from lastref.conformance.protocol.conversation import Conversation
from lastref.conformance.protocol.document import document
from lastref.conformance.protocol.messages import (
    MESSAGES,
    ProtocolError,
    check,
    encode,
    schema,
)
from lastref.conformance.suite import all_cases

HERE = Path(__file__).resolve().parents[1]
READY: dict[str, Any] = {
    "type": "ready",
    "protocol_min": 1,
    "protocol_max": 1,
    "implementation": "a test",
    "version": "1",
    "system": "linux",
    "pid": 7,
    "capabilities": ["start", "wait"],
}


def line(message: object) -> bytes:
    """Return a message as an adapter could write it, with spaces."""
    return json.dumps(message).encode() + b"\n"


def begun(*, validate: bool = True) -> Conversation:
    """Return a conversation after its handshake, with operation 1 asked for."""
    conversation = Conversation(validate=validate)
    conversation.hello()
    conversation.receive(line(READY))
    conversation.op("wait", "p")
    return conversation


def test_the_document_is_current() -> None:
    """PROTOCOL.md is what its generator writes from the schemas and the example."""
    assert (HERE / "PROTOCOL.md").read_text(encoding="utf-8") == document(), (
        "run: python -m lastref.conformance.protocol.document > conformance/PROTOCOL.md"
    )


def test_the_document_lists_every_field() -> None:
    """Each field of each schema has a row, with its description."""
    text = document()
    for name in MESSAGES:
        for field, rules in schema(name)["properties"].items():
            assert f"| `{field}` |" in text
            assert rules["description"] in text


def test_the_complete_adapter_is_short() -> None:
    """The example is a whole program of at most 60 lines."""
    example = (HERE / "adapters" / "minimal.py").read_text(encoding="utf-8")
    assert len(example.splitlines()) <= 60
    assert example in document()


def test_the_complete_adapter_works() -> None:
    """It runs every case that it declares without a fault; popen's known deviations aside."""
    argv = [sys.executable, "-S", str(HERE / "adapters" / "minimal.py")]
    wanted = [c for c in all_cases() if c.situation != "overlap"]
    outcomes = list(Checker(argv, gating=Gating(orders=10)).run(wanted))
    assert {o.status for o in outcomes} == {Status.PASS, Status.DEVIATES, Status.NOT_SUPPORTED}
    assert all(o.status is not Status.DEVIATES for o in outcomes if o.case.startswith("adapter/"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("type", "steady"),
        ("pid", 0),
        ("capabilities", ["fly"]),
        ("capabilities", ["start", "start"]),
        ("specification", "go 2024"),
        ("implementation", ""),
        ("colour", "red"),
    ],
)
def test_a_message_that_does_not_fit_its_schema_is_refused(field: str, value: object) -> None:
    """Every departure from the schema of `ready` is a protocol error."""
    with pytest.raises(ProtocolError):
        Conversation().receive(line({**READY, field: value}))


def test_the_switch_turns_the_schemas_off() -> None:
    """Without validation an unknown field passes; what the suite relies on is checked still."""
    odd = {**READY, "colour": "red"}
    conversation = Conversation(validate=False)
    conversation.receive(line(odd))
    assert conversation.ready is not None
    with pytest.raises(ProtocolError, match="not complete"):
        Conversation(validate=False).receive(line({"type": "ready"}))


def test_an_op_needs_what_its_kind_needs() -> None:
    """`start` without argv, `find` without pid and `signal` without a number are no messages."""
    for op in ("start", "find", "literal", "signal"):
        with pytest.raises(ProtocolError):
            check({"type": "op", "id": 1, "op": op, "process": "p"})


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([READY], "second 'ready'"),
        ([{"type": "return", "id": 1, "outcome": "nil"}], "before it was invoked"),
        ([{"type": "invoke", "id": 2}], "never asked for"),
        ([{"type": "invoke", "id": 1}] * 2, "invoked twice"),
        (
            [{"type": "invoke", "id": 1}, *[{"type": "return", "id": 1, "outcome": "nil"}] * 2],
            "returned twice",
        ),
        ([{"type": "hello"}], "not its to send"),
    ],
)
@pytest.mark.parametrize("validate", [True, False])
def test_the_rules_of_a_conversation_are_kept(
    messages: list[dict[str, Any]], said: str, validate: bool
) -> None:
    """Whatever an adapter may not say is refused by name, schemas or no schemas."""
    conversation = begun(validate=validate)
    text = b"".join(map(line, messages))
    with pytest.raises(ProtocolError, match=said):
        conversation.receive(text)


def test_nothing_comes_before_ready() -> None:
    """An event before the handshake is a protocol error."""
    conversation = Conversation()
    conversation.op("wait", "p")
    with pytest.raises(ProtocolError, match="before 'ready'"):
        conversation.receive(line({"type": "invoke", "id": 1}))


def test_lines_may_come_in_any_pieces() -> None:
    """A message is the same whether it comes whole, byte by byte or with others."""
    text = line({"type": "invoke", "id": 1}) + line({"type": "return", "id": 1, "outcome": "ok"})
    bytewise, whole = begun(), begun()
    for index in range(len(text)):
        bytewise.receive(text[index : index + 1])
    whole.receive(text)
    assert bytewise.history == whole.history
    assert [event.kind for event in whole.history] == ["invoke", "return"]


def test_what_would_need_an_escape_is_not_sent() -> None:
    """The promise to adapters without a JSON library is kept by refusing, not by hoping."""
    for name in ('say "x"', "back\\slash", "caf\u00e9"):
        with pytest.raises(UserError, match="without escapes"):
            encode({"type": "op", "id": 1, "op": "start", "process": "p", "argv": [name]})
