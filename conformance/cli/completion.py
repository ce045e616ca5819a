"""``lastref completion``: the script by which a shell completes lastref's commands and names."""

from __future__ import annotations

import time

import click
from click.shell_completion import get_completion_class

from lastref.conformance.cli.completing import VARIABLE
from lastref.conformance.cli.output import JsonTarget, json_option, standard_output
from lastref.conformance.results import Check, Result, Verdict

SHELLS = ("bash", "zsh", "fish")


@click.command(
    epilog="""\b
    Examples:
      lastref completion bash > ~/.local/share/bash-completion/completions/lastref
      lastref completion zsh > ~/.zfunc/_lastref          a folder of fpath, before compinit
      lastref completion fish > ~/.config/fish/completions/lastref.fish
      lastref completion bash --json                      the script, for a program
    """
)
@click.argument("shell", type=click.Choice(SHELLS))
@json_option
@click.pass_context
def completion(context: click.Context, shell: str, json_target: JsonTarget | None) -> None:
    """Print the script that teaches SHELL to complete commands, options, designs and cases.

    The script is click's own; it asks lastref for what fits at each press of the key.
    """
    started = time.perf_counter()
    program = context.find_root().command
    writer = get_completion_class(shell)
    assert writer is not None, "click has all of them"
    # Not its source(): that would run the shell to see whether it is new enough, maybe elsewhere.
    given = writer(program, {}, program.name or "", VARIABLE)
    script = given.source_template % given.source_vars()
    if json_target is None or json_target.path is not None:
        with standard_output():
            click.echo(script, nl=False)
    if json_target is not None:
        commands = len(getattr(program, "commands", ()))
        seconds = time.perf_counter() - started
        check = Check(f"completion/{shell}", "completion", Verdict.PASS, commands, seconds)
        json_target.write(Result("completion", (check,), {"script": script}).to_json())
    raise click.exceptions.Exit(0)
