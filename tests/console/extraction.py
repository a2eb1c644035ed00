"""Every text of the console that is to be translated."""

from pathlib import Path

from babel.messages.extract import extract
from jinja2.ext import babel_extract

CONSOLE = Path(__file__).resolve().parents[2] / "engine" / "console"
KEYWORDS = {"_": None, "N_": None, "t": None, "n_": (1, 2), "plural": (1, 2)}


def messages() -> list[str]:
    """Message ids in the order of the sources, each once."""
    found: dict[str, None] = {}
    for path in sorted(CONSOLE.rglob("*.py")):
        with path.open("rb") as file:
            for _, message, _, _ in extract("python", file, KEYWORDS):
                found.update(dict.fromkeys([message] if isinstance(message, str) else message))
    for path in sorted(CONSOLE.rglob("*.html")):
        with path.open("rb") as file:
            options = {"trim_blocks": "true", "lstrip_blocks": "true"}
            for _, _, message, _ in babel_extract(file, ["_", "n_"], [], options):
                texts = [message] if isinstance(message, str) else message
                found.update(dict.fromkeys(text for text in texts if isinstance(text, str)))
    found.pop("", None)
    return list(found)
