"""Writes PROTOCOL.md: prose from here, fields from the schemas, the example from its source file.

    python -m lastref.conformance.protocol.document > conformance/PROTOCOL.md

A test compares the file with what this would write, so it cannot fall behind.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from importlib import resources
from typing import Any

from lastref.conformance.protocol.messages import LINE_LIMIT, MESSAGES, PROTOCOL, schema

_BEFORE = """\
# The adapter protocol, version {version}

<!-- Written by `python -m lastref.conformance.protocol.document`; a test keeps it current. -->

An *adapter* is a program that lets `lastref check` use an implementation of process handles: it
reads operations from its standard input, carries them out on the implementation, and writes what
happened to its standard output. Standard error is free for logging. A complete one is at the end.

    suite                                     adapter
    {{"type":"hello",...}}            ──▶
                                    ◀──       {{"type":"ready",...}}
    {{"type":"op","id":1,...}}        ──▶
                                    ◀──       {{"type":"invoke","id":1}}
                                    ◀──       {{"type":"return","id":1,"outcome":"nil"}}
    {{"type":"bye"}}                  ──▶       exits with 0

## The rules

- One JSON object a line, in UTF-8, of at most {limit} bytes, flushed at once.
- What the suite sends is ASCII without escapes and without spaces between tokens, and a key occurs
  once: a language without a JSON library can look for `"id":` in the line.
- `invoke` is written immediately before the implementation is called and `return` immediately after
  it has returned. The order of the lines is the history that is judged: an operation takes effect
  between the two.
- Operations return in any order. An adapter that declares `concurrent` begins every operation at
  once, on a thread of its own: the suite calls `signal` while a `wait` is blocked.
- The children that the implementation starts must not hold the protocol's pipes. Give them another
  standard input and output, and keep the pipes close-on-exec. The suite looks.
- The suite alone decides what is skipped, from the declared capabilities; a capability that is
  declared and missing is an error of its own.
- An error of the implementation is an `outcome`, not an error of the adapter. An operation that the
  adapter cannot map to a kind is `other`, with the native text beside it.
- After `bye`, or at the end of its input, the adapter exits with 0, leaving nothing running that it
  was not asked to start.

Every message has a published JSON Schema, `conformance/schemas/protocol-MESSAGE.schema.json`. The
suite holds all traffic to them; `lastref check --no-validate` checks only what it relies on.

## The messages

"""

_KINDS = """\
## The kinds of outcome

| kind | meaning |
|---|---|
| `nil` | it succeeded, and there is no value |
| `ok` | it succeeded with a value: a `wait` that got the process's end, an `observe` |
| `EPD` | the process has finished: `os.ErrProcessDone`, `ProcessLookupError`, ESRCH of a signal |
| `REL` | the process object was released before |
| `UNINIT` | the process object was never filled in |
| `UNSUP` | that is no signal of this operating system |
| `ErrNoHandle`, `ErrInvalid` | Go's errors of these names |
| `EBADF`, `EINVAL`, … | a bare errno, by its name |
| `waitid:ECHILD`, `wait:ECHILD`, … | an errno, with the system call that failed in front |
| `panic:TEXT` | the implementation found its own state impossible |
| `other` | none of these; `native` tells |

## What a case can come to

| status | meaning | exit code |
|---|---|---|
| pass | the history fits the specification | 0 |
| deviates | it does not | 1 |
| crash | the program ended while it was asked something; the raw wait status is kept | 1 |
| timeout | it runs, and did not answer within `--deadline` | 1 |
| protocol error | it said what the protocol does not allow | 2 |
| not supported | it does not declare what the case needs | 0 |
| precondition failed | the case could not be set up | 0, or 2 where the run itself is at fault |

## A complete adapter

For Python's `subprocess.Popen`; `lastref check 'python conformance/adapters/minimal.py'` runs it.

```python
"""


def document() -> str:
    """Return the text of PROTOCOL.md."""
    example = resources.files("lastref.conformance.adapters").joinpath("minimal.py")
    messages = "\n".join(_message(name) for name in MESSAGES)
    before = _BEFORE.format(version=PROTOCOL, limit=LINE_LIMIT)
    return f"{before}{messages}\n{_KINDS}{example.read_text(encoding='utf-8')}```\n"


def _message(name: str) -> str:
    """Return a message's section: who sends it, what it is for, and its fields."""
    told = schema(name)
    lines = [
        f"### {name}",
        "",
        f"Sent by the {told['x-sender']}. {told['description']}",
        "",
        "| field | | type | meaning |",
        "|---|---|---|---|",
    ]
    for field, rules in told["properties"].items():
        needed = "" if field in told["required"] else "optional"
        lines.append(f"| `{field}` | {needed} | {_type(rules)} | {rules['description']} |")
    return "\n".join([*lines, ""])


def _type(rules: Mapping[str, Any]) -> str:
    """Return the values that a field takes, short enough for a table's cell."""
    if "const" in rules:
        return f"`{json.dumps(rules['const'])}`"
    if "enum" in rules:
        return ", ".join(f"`{value}`" for value in rules["enum"])
    if rules.get("type") == "array":
        return f"list of {_type(rules['items'])}"
    return str(rules["type"])


if __name__ == "__main__":
    sys.stdout.write(document())
