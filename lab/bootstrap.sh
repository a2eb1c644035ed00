#!/bin/sh
# Make the virtual environment, or say in one line what is missing: bootstrap.sh PYTHON FOLDER
set -eu
python=$1
folder=$2

if ! command -v "$python" >/dev/null 2>&1; then
    echo "ringward needs Python 3.11, 3.12 or 3.13. On Debian or Ubuntu: sudo apt install python3 python3-venv" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'; then
    echo "ringward needs Python 3.11, 3.12 or 3.13; $python is $("$python" -V 2>&1)." >&2
    echo "Name another one with: make run PYTHON=python3.12" >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "$python cannot make virtual environments. On Debian or Ubuntu: sudo apt install python3-venv" >&2
    exit 1
fi
echo "making $folder with $("$python" -V)"
"$python" -m venv --clear "$folder"
