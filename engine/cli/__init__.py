"""The `ringward` command."""
