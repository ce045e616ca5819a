"""``lastref play``: the explorer, served on this machine or written as a page."""

from __future__ import annotations

import json
import webbrowser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click

from lastref.conformance.cli.output import JsonTarget, json_option
from lastref.conformance.errors import UserError, writing
from lastref.conformance.tables_document import tables_document
from lastref.reports.explorer import render

PAGE = "index.html"


@click.command(
    epilog="""\b
    Examples:
      lastref play              serve the explorer on this machine and say where
      lastref play --open       and open it in the browser
      lastref play -o site      write it as one page, site/index.html
      lastref play --json FILE  write the tables that it runs, as JSON
    """
)
@click.option(
    "-o",
    "--output",
    "directory",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Write the page as DIR/{PAGE} and serve nothing.",
)
@json_option
@click.option(
    "--port",
    default=0,
    show_default="any free one",
    type=click.IntRange(0, 65535),
    help="Where to serve it.",
)
@click.option("--open", "open_it", is_flag=True, help="Open the page in the browser.")
def play(directory: Path | None, json_target: JsonTarget | None, port: int, open_it: bool) -> None:
    """Step threads through a design by hand, in the browser.

    The page holds the model's tables and runs their commands itself; it loads nothing from
    anywhere. It is served on 127.0.0.1 only, until interrupted, unless it is written with -o.
    """
    tables = tables_document()
    page = render(tables)
    if json_target is not None:
        json_target.write(json.dumps(tables, ensure_ascii=False) + "\n")
    if directory is not None:
        where = written(page, directory)
        click.echo(f"wrote {where} ({len(page.encode()) / 1024:,.0f} KiB)", err=True)
        if open_it:
            webbrowser.open(where.resolve().as_uri())
    if directory is not None or json_target is not None:
        raise click.exceptions.Exit(0)
    with server(page, port) as serving:
        address = f"http://127.0.0.1:{serving.server_port}/"
        click.echo(f"the explorer is at {address} (Ctrl-C ends it)", err=True)
        if open_it:
            webbrowser.open(address)
        try:
            serving.serve_forever()
        except KeyboardInterrupt:
            click.echo("", err=True)
    raise click.exceptions.Exit(0)


def written(page: str, directory: Path) -> Path:
    """Write the page into ``directory``, made if need be, and return its path."""
    path = directory / PAGE
    with writing(path, "place"):
        directory.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    return path


def server(page: str, port: int) -> ThreadingHTTPServer:
    """Return a server of ``page``, and of nothing else, on this machine's own address."""
    body = page.encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/":
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing: the address was said."""

    try:
        return ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        raise UserError(
            f"cannot serve on port {port}",
            error.strerror or str(error),
            "name another with --port, or none",
        ) from error
