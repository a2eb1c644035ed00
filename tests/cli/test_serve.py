"""What `ringward up` starts."""

from __future__ import annotations

from engine.cli.serve import children
from engine.model.config import Address, Config, DissuasionSection, MetricsSection


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
