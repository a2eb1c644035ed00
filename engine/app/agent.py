"""The dissuasion agent's process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from engine.app.config import ConfigError
from engine.app.metrics import Metrics, served
from engine.app.paths import dialplans_folder
from engine.dissuasion.script import Script, ScriptError
from engine.dissuasion.script import load as load_script
from engine.model.config import Config
from engine.runtime.agent import DissuasionAgent
from engine.runtime.prompts import read_samples
from engine.warning.announcements import Catalogue
from engine.warning.announcements import load as load_catalogue


def load_scripts(catalogue: Catalogue) -> dict[Path, Script]:
    """The dissuasion scripts there are, by file. Raises ScriptError."""
    paths = sorted((dialplans_folder() / "dissuasion").glob("*.toml"))
    return {path: load_script(path, catalogue.announcements) for path in paths}


async def run_agent(config: Config, stop: asyncio.Event, say: Callable[[str], None]) -> int:
    """Run until `stop`. Raises ConfigError, CatalogueError or OSError when it cannot start."""
    catalogue = load_catalogue(dialplans_folder() / "announcements.toml")
    try:
        scripts = {script.name: script for script in load_scripts(catalogue).values()}
    except ScriptError as error:
        raise ConfigError(str(error)) from None
    if config.dissuasion.script not in scripts:
        known = ", ".join(sorted(scripts))
        raise ConfigError(f"dissuasion.script: no script {config.dissuasion.script!r}; there are: {known}")
    for script in scripts.values():  # read from disk now, not while somebody waits on the line
        for state in script.states.values():
            for slug in state.say:
                for language in catalogue.languages:
                    read_samples(catalogue.prompt(slug, language))
    agent = DissuasionAgent(
        config.dissuasion.agent, scripts, catalogue.prompt, frozenset({config.sip.listen.host})
    )
    with served(Metrics("agent", AgentCollector(agent)), config):
        say(f"listening on {config.dissuasion.agent} (udp), scripts: {', '.join(sorted(scripts))}")
        await stop.wait()
        agent.close()
    return 0


class AgentCollector(Collector):
    def __init__(self, agent: DissuasionAgent) -> None:
        self._agent = agent

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "ringward_agent_calls", "Calls the agent talks in.", value=float(self._agent.calls)
        )
