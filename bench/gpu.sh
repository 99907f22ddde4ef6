#!/bin/sh
# What wants a GPU, in under ten minutes of it: `infgram bench gpu`, with an environment that has
# what it needs. From anywhere:
#
#     sh bench/gpu.sh [FOLDER] [OPTION]...    # FOLDER gets results.json and report.md
#     sh bench/gpu.sh gpu-results --quick     # tries all of it, on any machine, in a minute
#
# PYTHON is used as it is if it has infgram_bench and torch; else .venv-gpu is made, with packages
# from the network. Where there is no network, INFGRAM_TINY_SHAKESPEARE names the text.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
case ${1:-} in
  '' | -*) folder=gpu-results ;;
  *) folder=$1 && shift ;;
esac
python=${PYTHON:-python3}
if ! "$python" -c 'import infgram_bench, safetensors, torch, transformers' 2> /dev/null; then
  [ -d "$root/.venv-gpu" ] || "$python" -m venv "$root/.venv-gpu"
  python=$root/.venv-gpu/bin/python
  (cd "$root" && "$python" tools/install.py . './bench[neural]')
fi
exec "$python" -m infgram_cli bench gpu -o "$folder" --no-pin "$@"
