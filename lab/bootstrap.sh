#!/bin/sh
# Make the virtual environment, or say in one line what is missing: bootstrap.sh FOLDER PYTHON...
#
# Of the interpreters named the first usable one is taken, or the first usable one that is built with
# profile-guided optimisation: calls cost an engine 12 to 18 % less there.
set -eu
folder=$1
shift

# Debian's and Ubuntu's are built so, but do not say it: their own installation scheme tells them.
question='
import sys, sysconfig
if not (3, 11) <= sys.version_info[:2] <= (3, 13) or sys.implementation.name != "cpython":
    sys.exit(print("other"))
if sysconfig.get_config_var("Py_GIL_DISABLED"):
    sys.exit(print("other"))
try:
    import ensurepip, sqlite3, ssl, venv
except ImportError:
    sys.exit(print("bare"))
arguments = sysconfig.get_config_var("CONFIG_ARGS") or ""
optimised = "--enable-optimizations" in arguments or "deb_system" in sysconfig.get_scheme_names()
print("optimised" if optimised else "plain")
'

optimised='' plain='' bare='' other=''
for python in "$@"; do
    case $("$python" -c "$question" 2>/dev/null || true) in
        optimised) optimised=$python; break ;;
        plain) plain=${plain:-$python} ;;
        bare) bare=${bare:-$python} ;;
        other) other=${other:-$python} ;;
    esac
done

python=${optimised:-$plain}
if [ -n "$optimised" ]; then
    echo "making $folder with $python ($("$python" -V)), built with profile-guided optimisation"
elif [ -n "$plain" ]; then
    echo "making $folder with $python ($("$python" -V)): no interpreter built with profile-guided" \
        "optimisation was named or found"
elif [ -n "$bare" ]; then
    echo "$bare cannot make virtual environments, or lacks sqlite3 or ssl." \
        "On Debian or Ubuntu: sudo apt install python3-venv" >&2
    exit 1
elif [ -n "$other" ]; then
    echo "ringward needs Python 3.11, 3.12 or 3.13; $other is $("$other" -V 2>&1)." >&2
    echo "Name another one with: make run PYTHON=python3.12" >&2
    exit 1
else
    echo "ringward needs Python 3.11, 3.12 or 3.13. On Debian or Ubuntu: sudo apt install python3 python3-venv" >&2
    exit 1
fi
"$python" -m venv --clear "$folder"
