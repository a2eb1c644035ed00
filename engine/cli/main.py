"""`ringward`: one command for all."""

from __future__ import annotations

import sys

from engine.cli.serving import PARTS, plain_options, serve


def main() -> None:
    """Entry point of the `ringward` script.

    A process that runs for long starts without the command line's libraries; help, mistakes and every other
    command are for those.
    """
    name, *arguments = sys.argv[1:] or [""]
    options = plain_options(arguments) if name in PARTS else None
    if options is not None:
        sys.exit(serve(name, options))
    from engine.cli.commands import command_line

    command_line(name or None)()
