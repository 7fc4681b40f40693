"""How a command ends that does not end well: its exit code, and what it says."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from dumb_bench.errors import DamagedFileError, InputError, SchemaError
from dumb_bench.redaction import crash_text, without_secrets
from dumb_bench.wording import printable

_UsageError: Any = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "UsageError")
"""What typer raises for a wrong command line (its own copy of click's class, or click's)."""


@contextmanager
def clean_errors() -> Iterator[None]:
    """Turn errors of the user's into one line and exit code 2, a crash into a clean traceback and exit code 1."""
    try:
        yield
    except (InputError, SchemaError) as error:
        _fail(str(error))
    except DamagedFileError as error:
        _fail(f"{error}; run the grid again to restore it")
    except _UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            typer.echo(error.ctx.get_help() if error.ctx else "")
            raise SystemExit(2) from None
        where = error.ctx.command_path if error.ctx else "dumb-bench"
        _fail(f"{error.format_message()} (see `{where} --help`)")
    except (typer.Abort, KeyboardInterrupt):
        typer.echo("interrupted", err=True)
        raise SystemExit(130) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _fail(f"{place}{error.strerror or error}")
    except Exception as error:
        typer.echo(crash_text(error), err=True)
        raise SystemExit(1) from None


def _fail(message: str) -> None:
    for line in without_secrets(message).split("\n"):
        typer.echo(f"error: {printable(line)}", err=True)
    raise SystemExit(2) from None
