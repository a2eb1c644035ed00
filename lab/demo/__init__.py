"""The demo: lab phones play the scenario through the whole system, and every promise is checked."""
