#!/bin/sh
# Make the lab's recognition models anew: train.sh [LANGUAGE …]   (default: every language)
# `train.sh --venv` only makes the environment, for `.venv-speech/bin/python -m lab.speech.render`.
set -eu
cd "$(dirname "$0")/../.."
venv=.venv-speech

for program in espeak-ng flite; do
    if ! command -v "$program" >/dev/null 2>&1; then
        echo "speech needs $program. On Debian or Ubuntu: sudo apt install espeak-ng flite" >&2
        exit 1
    fi
done
if [ ! -e "$venv/.created" ] || [ lab/speech/requirements.lock -nt "$venv/.created" ]; then
    lab/bootstrap.sh "$venv" "${PYTHON:-python3}"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-build.lock
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
        --no-build-isolation --only-binary :all: --no-binary srt -r lab/speech/requirements.lock
    touch "$venv/.created"
fi
if [ "${1:-}" = --venv ]; then
    exit 0
fi
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 exec nice -n 10 "$venv/bin/python" -m lab.speech.tiny_vosk "$@"
