"""`python -m engine` is the `ringward` command: how the supervisor starts its children."""

from engine.cli.main import main

main()
