"""``lastref adapters``: list the implementations that are known, and which can run here."""

from __future__ import annotations

import time

import click

from lastref.conformance.adapters import registry
from lastref.conformance.cli.output import JsonTarget, conclude, json_option, progress
from lastref.conformance.errors import UserError
from lastref.conformance.outcomes import Status
from lastref.conformance.protocol.adapter import Adapter, Fault
from lastref.conformance.results import Check, Result, Verdict


@click.command(
    epilog="""\b
    Examples:
      lastref adapters                    a table
      lastref adapters --install go-1.27  fetch a toolchain into the cache first
    """
)
@click.option("--install", "names", metavar="NAME", multiple=True, help="Fetch what NAME needs.")
@json_option
def adapters(names: tuple[str, ...], json_target: JsonTarget | None) -> None:
    """List the known adapters; each that can run here is started and asked what it is.

    An adapter that cannot run is listed as skipped, with what would help.
    """
    for name in names:
        registry.install(name)
    known = registry.known().values()
    checks = []
    with progress("adapters", total=len(known)) as advance:
        for adapter in known:
            checks.append(_look_at(adapter))
            advance(1)
    conclude(Result("adapters", tuple(checks)), json_target)


def _look_at(adapter: registry.Known) -> Check:
    """Build and start an adapter, and say what it declares, or why it cannot run."""
    start = time.perf_counter()
    try:
        with Adapter.start(adapter.prepare(), environment=dict(adapter.environment)) as running:
            ready = running.handshake()
    except UserError as error:
        return _check(adapter, Verdict.SKIPPED, Status.PRECONDITION_FAILED, str(error), start)
    except Fault as fault:
        return _check(adapter, Verdict.INCOMPLETE, Status(fault.status), str(fault), start)
    told = f"{ready.implementation} {ready.version}: {', '.join(sorted(ready.capabilities))}"
    return _check(adapter, Verdict.PASS, Status.PASS, told, start)


def _check(
    adapter: registry.Known, verdict: Verdict, status: Status, reason: str, start: float
) -> Check:
    return Check(
        adapter.name,
        "adapter",
        verdict,
        1 if verdict is Verdict.PASS else 0,
        round(time.perf_counter() - start, 6),
        reason,
        extra={"title": adapter.title, "status": status.value},
    )
