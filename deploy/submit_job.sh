#!/usr/bin/env bash
# Submit a grid to a Ray cluster that runs already. The cluster must have been started with a token
# (docs/on-my-cluster.md, Tokens), and `dumb_bench` must be installed on all of its machines.
#
#   RAY_AUTH_TOKEN_PATH=~/.ray/auth_token deploy/submit_job.sh GRID RESULTS STORE [more options of `run`]
#
# GRID, RESULTS and STORE are absolute paths that every machine sees, or for the last two s3:// URIs. Never put
# credentials into a URI here: the cluster's dashboard shows this command line. Give them to the machines instead.
#
# RAY_API_SERVER_ADDRESS: the dashboard, http://127.0.0.1:8265 by default. That is right on the head, and from elsewhere
# through a tunnel, which also encrypts: ssh -N -L 8265:127.0.0.1:8265 HEAD
set -euo pipefail

grid=${1:?GRID is missing: submit_job.sh GRID RESULTS STORE}
results=${2:?RESULTS is missing: submit_job.sh GRID RESULTS STORE}
store=${3:?STORE is missing: submit_job.sh GRID RESULTS STORE}
shift 3

export RAY_AUTH_MODE=token
export RAY_API_SERVER_ADDRESS=${RAY_API_SERVER_ADDRESS:-http://127.0.0.1:8265}
token_file=${RAY_AUTH_TOKEN_PATH:-$HOME/.ray/auth_token}
if [[ -z ${RAY_AUTH_TOKEN:-} && ! -s $token_file ]]; then
  echo "no token: copy the cluster's to $token_file, or name its file in RAY_AUTH_TOKEN_PATH" >&2
  exit 2
fi

# The job goes on if this terminal closes. Ray knows only good and bad: where `run` ends with 3 (something failed) this
# command ends with 1; `dumb-bench status RESULTS` says what.
exec ray job submit -- dumb-bench run "$grid" --address auto --results "$results" --store "$store" "$@"
