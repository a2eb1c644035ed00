"""Reading the one TOML file, with overrides and errors that say where and what is near.

Order of precedence: `--set key=value`, then environment (`RINGWARD_SIP__LISTEN` is `sip.listen`), then
the file, then defaults. Paths in the file are relative to the file; paths from the environment or the
command line to the working directory. Without one, data lies below the working directory.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from engine.app.paths import dialplans_folder
from engine.app.trunk_checks import trunk_problem
from engine.call.sources import ANYWHERE
from engine.model.address import Address, PortRange
from engine.model.config import Config
from engine.model.section import Section
from engine.model.trunk_sections import TrunkSection

ENVIRONMENT_PREFIX = "RINGWARD_"
ROUTE, ANYONE = "route", "anyone"
"""Names of the trunks that `route.next_hop` makes."""


class ConfigError(Exception):
    """The configuration cannot be used; the text names the file or option, the key and the mend."""


def load_config(
    path: Path | None = None,
    overrides: Iterable[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Config:
    """Read `path` (or defaults only), apply environment and `key=value` overrides, validate.

    Raises `ConfigError`.
    """
    tree: dict[str, Any] = {}
    if path is not None:
        tree = _read(path)
        _check_keys(tree, str(path))
        _resolve(tree, Config, path.resolve().parent, str(path))
    for name, value in sorted((environment if environment is not None else os.environ).items()):
        if name.startswith(ENVIRONMENT_PREFIX):
            dotted = name.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", ".")
            _override(tree, dotted, value, f"environment variable {name}")
    for override in overrides:
        key, separator, value = override.partition("=")
        if not separator:
            raise ConfigError(f"--set {override}: expected key=value")
        _override(tree, key.strip(), value.strip(), f"--set {override}")
    _resolve(tree, Config, Path.cwd(), str(path or "configuration"))
    try:
        config = msgspec.convert(tree, Config, dec_hook=_decode, strict=True)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path or 'configuration'}: {_plain(str(error))}") from None
    return _check_sense(_with_route(_with_absolute_defaults(config)))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: {error}") from None


def _check_keys(tree: Mapping[str, Any], where: str, kind: Any = Config, prefix: str = "") -> None:
    hints = get_type_hints(kind)
    for key, value in tree.items():
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=1, cutoff=0.0)
            suggestion = f"; did you mean {prefix}{near[0]}?" if near else ""
            raise ConfigError(f"{where}: unknown key {prefix}{key}{suggestion}")
        section = _section(hints[key])
        if section is not None and isinstance(value, Mapping):
            _check_keys(value, where, section, f"{prefix}{key}.")
        for item in value if _items_of(hints[key]) is not None and isinstance(value, list) else ():
            if isinstance(item, Mapping):
                _check_keys(item, where, _items_of(hints[key]), f"{prefix}{key}.")
        inner = _values_of(hints[key])
        if inner is not None and _section(inner) is not None and isinstance(value, Mapping):
            for name, item in value.items():
                if isinstance(item, Mapping):
                    _check_keys(item, where, inner, f"{prefix}{key}.{name}.")


def _override(tree: dict[str, Any], dotted: str, text: str, where: str) -> None:
    """Set one key; the text becomes the type that the key has."""
    parts = dotted.split(".")
    kind: Any = Config
    node = tree
    for depth, part in enumerate(parts):
        inner = _values_of(kind)
        if inner is not None:
            kind = inner
        else:
            if _section(kind) is None:
                raise ConfigError(f"{where}: {'.'.join(parts[:depth])} is a value, not a section")
            hints = get_type_hints(kind)
            if part not in hints:
                near = difflib.get_close_matches(part, hints, n=1, cutoff=0.0)
                prefix = ".".join(parts[:depth]) + "." * bool(depth)
                raise ConfigError(f"{where}: unknown key {dotted}; did you mean {prefix}{near[0]}?")
            kind = hints[part]
        if depth < len(parts) - 1:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise ConfigError(f"{where}: {'.'.join(parts[: depth + 1])} is no section in the file")
    if _section(kind) is not None:
        raise ConfigError(f"{where}: {dotted} is a section; name a key in it")
    node[parts[-1]] = _from_text(text, kind, f"{where}: {dotted}")


def _from_text(text: str, kind: Any, where: str) -> Any:
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    if type(None) in kinds and text == "":
        return None
    if bool in kinds:
        if text.lower() in ("true", "yes", "on", "1"):
            return True
        if text.lower() in ("false", "no", "off", "0"):
            return False
        raise ConfigError(f"{where}: expected true or false, not {text!r}")
    for number, pattern in ((int, r"-?[0-9]{1,18}"), (float, r"-?[0-9]{1,18}(\.[0-9]{1,18})?")):
        if number in kinds:
            if re.fullmatch(pattern, text) is None:
                raise ConfigError(f"{where}: expected a number, not {text!r}")
            return number(text)
    if any(get_origin(k) is tuple for k in kinds):
        return [item.strip() for item in text.split(",") if item.strip()]
    return text


def _resolve(tree: dict[str, Any], kind: Any, base: Path, where: str) -> None:
    """Make relative paths absolute and read the text forms (host:port, low-high)."""
    hints = get_type_hints(kind)
    for key, value in tree.items():
        hint = hints.get(key)
        kinds = (hint, *get_args(hint))
        section = _section(hint)
        inner = _values_of(hint)
        if section is not None and isinstance(value, dict):
            _resolve(value, section, base, f"{where}: {key}")
        elif inner is Path and isinstance(value, dict):
            texts = {name: item for name, item in value.items() if isinstance(item, str)}
            tree[key] = value | {name: os.path.normpath(base / item) for name, item in texts.items()}
        elif inner is not None and _section(inner) is not None and isinstance(value, dict):
            for name, item in value.items():
                if isinstance(item, dict):
                    _resolve(item, inner, base, f"{where}: {key}.{name}")
        elif isinstance(value, list) and Address in kinds:
            tree[key] = [_text_form(Address, item, f"{where}: {key}") for item in value]
        elif isinstance(value, str) and Path in kinds:
            tree[key] = os.path.normpath(base / value)
        elif isinstance(value, str):
            for form in (Address, PortRange):
                if form in kinds:
                    tree[key] = _text_form(form, value, f"{where}: {key}")


def _text_form(form: type[Address] | type[PortRange], value: Any, where: str) -> Any:
    """The fields of a value that is one text in the file; anything else is left to the check of types."""
    if not isinstance(value, str):
        return value
    try:
        return asdict(form.parse(value))
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None


def _section(hint: Any) -> Any:
    return hint if isinstance(hint, type) and issubclass(hint, Section) else None


def _items_of(hint: Any) -> Any:
    """The section that a list is of."""
    return _section(get_args(hint)[0]) if get_origin(hint) is tuple else None


def _values_of(hint: Any) -> Any:
    return get_args(hint)[1] if get_origin(hint) is dict else None


def _decode(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(f"no decoder for {kind}")


def _with_absolute_defaults(config: Config) -> Config:
    """Data goes below the working directory, the policy is the one that ships; given paths are absolute."""
    replace = msgspec.structs.replace
    return replace(
        config,
        data=replace(config.data, folder=Path.cwd() / config.data.folder),
        screening=replace(config.screening, policy=dialplans_folder().parent / config.screening.policy),
    )


def _with_route(config: Config) -> Config:
    """`route.next_hop` as the trunks that it stands for."""
    route = config.route
    if route.next_hop is None:
        return config
    taken = {ROUTE, ANYONE} & config.trunk.keys()
    if taken:
        raise ConfigError(f"route.next_hop makes trunk.{min(taken)} itself: give yours another name")
    transport = "udp" if route.transport == "same" else route.transport
    made = {
        ANYONE: TrunkSection(side="carrier", match=(ANYWHERE,), announce_608=False),
        ROUTE: TrunkSection(
            side="access",
            match=(str(route.next_hop),),
            next_hop=route.next_hop,
            transport=transport,
            redirect_anywhere=True,
        ),
    }
    return msgspec.structs.replace(config, trunk=config.trunk | made)


def _check_sense(config: Config) -> Config:
    recording = config.recording
    if recording.enabled and not (
        recording.purpose and recording.legal_basis and recording.retention_days > 0
    ):
        raise ConfigError(
            "recording.enabled needs recording.purpose, recording.legal_basis and recording.retention_days: "
            "recording stays off until a tenant has named them"
        )
    if config.media.ports.high - config.media.ports.low < 3:
        raise ConfigError(f"media.ports = {config.media.ports}: at least two port pairs are needed")
    for name, value in msgspec.structs.asdict(config.limits).items():
        if value <= 0:
            raise ConfigError(f"limits.{name} = {value}: expected more than 0")
    sip = config.sip
    if sip.tls.listen is not None and (sip.tls.certificate is None or sip.tls.key is None):
        raise ConfigError("sip.tls.listen needs sip.tls.certificate and sip.tls.key")
    spoken = {"udp"} | ({"tcp"} if sip.tcp else set()) | ({"tls"} if sip.tls.listen is not None else set())
    problem = trunk_problem(config.trunk, spoken)
    if problem:
        raise ConfigError(problem)
    edge = config.edge
    for name, secure in (("tls", edge.tls), ("wss", edge.wss)):
        if secure is not None and (edge.certificate is None or edge.key is None):
            raise ConfigError(f"edge.{name} needs edge.certificate and edge.key")
    if config.dissuasion.enabled and not config.dissuasion.caller:
        raise ConfigError("dissuasion.enabled needs dissuasion.caller, a number assigned to the tenant")
    metrics = config.metrics
    if metrics.listen.port and not metrics.token and not is_loopback(metrics.listen.host):
        raise ConfigError(
            f"metrics.listen = {metrics.listen}: set metrics.token, or listen on a loopback address"
        )
    if config.console.host not in ("127.0.0.1", "::1", "localhost"):
        raise ConfigError(
            f"console.host = {config.console.host}: without authentication the console "
            "listens on loopback only"
        )
    return config


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _plain(message: str) -> str:
    return message.replace("`$.", "`").replace("- at ", "at ")
