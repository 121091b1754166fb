#!/usr/bin/env bash
# Creates the environment from requirements.lock: with uv where it is present, with pip where not.
# usage: setup.sh VENV [UV]
set -euo pipefail
venv=$1
uv=${2:-}

find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3.11 python3.12 python3; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
      "$candidate" -c 'import sys; print(sys.executable)'
      return
    fi
  done
  echo "Stillhere needs Python 3.11 or 3.12 and found neither; install one, or name it: make PYTHON=/path/to/python3.11 setup" >&2
  exit 2
}

python=$(find_python)
echo "Creating $venv with $("$python" --version) ($( [ -n "$uv" ] && echo uv || echo pip ))"
# The lock holds every dependency, so --no-deps: pip would otherwise want a pin for each extra that is named.
if [ -n "$uv" ]; then
  [ -x "$venv/bin/python" ] || "$uv" venv --quiet --python "$python" "$venv"
  "$uv" pip install --quiet --python "$venv/bin/python" --no-deps --require-hashes -r requirements.lock
  "$uv" pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation -e .
else
  [ -x "$venv/bin/pip" ] || "$python" -m venv --clear "$venv"
  "$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
  "$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
fi
echo "Compiling the feature kernel (once, about a minute)"
"$venv/bin/python" -m serving.cli.compile_kernel products/onboarding
