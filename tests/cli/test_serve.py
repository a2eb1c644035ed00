"""What `ringward up` starts, and how a process that runs for long reads its command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.cli.serve import children
from engine.cli.serving import Options, plain_options
from engine.model.address import Address
from engine.model.config import Config, DissuasionSection, MetricsSection


def metrics_of(config: Config) -> dict[str, list[str]]:
    """Child → the metrics options it is given beside the shared ones."""
    return {
        child.name: [text for text in child.arguments if text.startswith("metrics.")]
        for child in children(config, None, [])
    }


def test_each_process_has_a_metrics_port_of_its_own() -> None:
    config = Config(
        dissuasion=DissuasionSection(enabled=True, caller="96110"),
        metrics=MetricsSection(listen=Address("127.0.0.1", 9464)),
    )
    told = metrics_of(config)
    assert told["agent"] == ["metrics.listen=127.0.0.1:9465"]
    assert told["engine"] == told["console"] == []


def test_without_a_port_nobody_listens() -> None:
    told = metrics_of(Config(dissuasion=DissuasionSection(enabled=True, caller="96110")))
    assert not any(told.values())


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((), Options()),
        (("--set", "a=1", "--supervised", "--set", "--help"), Options(None, ("a=1", "--help"), True)),
        (("--config", "lab.toml", "--set", "a=b=c"), Options(Path("lab.toml"), ("a=b=c",))),
        (("--help",), None),
        (("-c", "lab.toml"), None),
        (("--config=lab.toml",), None),
        (("--set",), None),
        (("lab.toml",), None),
    ],
)
def test_what_is_not_plain_is_left_to_the_command_line(
    arguments: tuple[str, ...], options: Options | None
) -> None:
    assert plain_options(arguments) == options


def test_everything_that_up_starts_of_ours_is_plain() -> None:
    config = Config(dissuasion=DissuasionSection(enabled=True, caller="96110"))
    for child in children(config, Path("lab.toml"), ["tenant=lab"]):
        if child.name != "broker":
            options = plain_options(child.arguments[3:])
            assert options is not None and options.supervised
            assert options.config_file == Path("lab.toml")
            assert options.overrides[0] == "tenant=lab"
