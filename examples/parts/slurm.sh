#!/bin/bash
# One part an array task; then a job that joins them:
#   sbatch slurm.sh
#   sbatch --dependency=afterok:JOB_ID --wrap 'infgram join parts/*.infgram -o corpus.infgram'
# Submit it again after a failure, and finished parts are kept; some of them alone:
#   PARTS=16 sbatch --array=3,7 slurm.sh
# `texts` and `parts` are on a file system that all nodes have.
#SBATCH --job-name=infgram-parts
#SBATCH --array=1-16
#SBATCH --cpus-per-task=1
#SBATCH --mem=16G
#SBATCH --time=02:00:00
#SBATCH --requeue
set -euo pipefail

i=$SLURM_ARRAY_TASK_ID
n=${PARTS:-$SLURM_ARRAY_TASK_COUNT}
mkdir -p parts
infgram build texts --layout compact --part "$i/$n" -o "parts/$i-of-$n.infgram" --quiet
