"""The command group, and errors as exit codes: 0 done, 1 not now or not possible, 2 bad input, 130 interrupted."""

from __future__ import annotations

import os
import signal
import sys
from importlib.metadata import version
from typing import Any, NoReturn

import click

from rcas.cli.baseline import baseline
from rcas.cli.compare import compare
from rcas.cli.demo import demo
from rcas.cli.doctor import doctor
from rcas.cli.export import export
from rcas.cli.forecast import forecast
from rcas.cli.latency import latency
from rcas.cli.latency_network import network
from rcas.cli.logs import logs
from rcas.cli.look import explain, list_searches, result, status
from rcas.cli.page import page
from rcas.cli.report import report
from rcas.cli.retrain import retrain
from rcas.cli.run import run
from rcas.cli.specs import cost, init, schema, validate
from rcas.cli.submit import submit
from rcas.cli.switches import cancel, delete, pause, resume, set_fields
from rcas.cli.watch import watch
from rcas.errors import InvalidSpec, RcasError


class Rcasctl(click.Group):
    """Turns errors into one line and an exit code, and SIGTERM into the same clean stop as Ctrl-C."""

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run a command and exit."""
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        kwargs["standalone_mode"] = False
        try:
            outcome = super().main(*args, **kwargs)
            sys.exit(outcome if isinstance(outcome, int) else 0)
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            click.echo("Stopped.", err=True)
            sys.exit(130)
        except RcasError as error:
            click.echo(f"Error: {error}", err=True)
            sys.exit(2 if isinstance(error, InvalidSpec) else 1)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The commands by what they work on."""
        longest = max(map(len, self.commands))
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                rows = [(c.name or "", c.get_short_help_str(formatter.width - longest - 6)) for c in commands]
                formatter.write_dl([(name.ljust(longest), text) for name, text in rows])


@click.group(cls=Rcasctl, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("rcas"), prog_name="rcasctl")
def main() -> None:
    """Find the most accurate small convolutional network that fits a budget of parameters and multiply-adds."""


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the tab completion of a shell; put `eval "$(rcasctl completion bash)"` into its start-up file."""
    from click.shell_completion import get_completion_class

    complete = get_completion_class(shell)
    assert complete is not None
    click.echo(complete(main, {}, "rcasctl", "_RCASCTL_COMPLETE").source())


SECTIONS: dict[str, tuple[click.Command, ...]] = {
    "On this machine": (demo, run, baseline, page),
    "In a cluster": (submit, logs, pause, resume, set_fields, cancel, delete),
    "Either": (list_searches, status, watch, result, explain, report, compare, retrain, forecast, doctor),
    "Specs and networks": (init, validate, cost, schema, latency, export),
    "Shell": (completion,),
}
latency.add_command(network)
for command in (command for commands in SECTIONS.values() for command in commands):
    main.add_command(command)
