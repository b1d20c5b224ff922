#!/usr/bin/env bash
# One study on a Slurm cluster: the job's first node is Ray's head, all its nodes work.
#
#   ray get-auth-token --generate > /dev/null        # once: the cluster's token, in ~/.ray/auth_token
#   export MLFLOW_TRACKING_URI=https://mlflow.example.com
#   sbatch slurm.sh iemocap --data.shards "$PWD/shards/iemocap" --name gammas --trials 50
#
# What follows slurm.sh is a sweep's. Submitted once more with the same --name, or put back in the queue by Slurm, the
# study is resumed. The token and MLflow's password (~/.mlflow/credentials, readable by you only) come from your home
# folder, which all nodes must share, as they must DCLF_STORAGE; shards and train.storage may be s3:// URIs.
#
# Change: the lines below, and `module load` or `source VENV/bin/activate` where `dclf` is not on the PATH. The versions
# that the nodes must have: dclf 0.2.0, ray 2.60, mlflow 3.17.
#SBATCH --job-name=dclf
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=4
#SBATCH --mem=128G
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=dclf-%j.log

set -euo pipefail

: "${MLFLOW_TRACKING_URI:?must be the address of an MLflow server with authentication, such as https://mlflow.example.com}"
storage=${DCLF_STORAGE:-$PWD/dclf-runs}
token=${RAY_AUTH_TOKEN_PATH:-$HOME/.ray/auth_token}
[[ $# -gt 0 ]] || { echo "slurm.sh: must be given a sweep's configuration and options, see its first lines" >&2; exit 2; }
[[ -s $token ]] || { echo "slurm.sh: no token in $token; make one: ray get-auth-token --generate" >&2; exit 2; }
command -v dclf >/dev/null || { echo "slurm.sh: dclf is not on the PATH; activate its environment above" >&2; exit 2; }

export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$token RAY_USAGE_STATS_ENABLED=0 OMP_NUM_THREADS=1

# The name of the study among the words, as --name NAME or --name=NAME.
name=
words=("$@")
for i in "${!words[@]}"; do
    case ${words[i]} in
        --name=*) name=${words[i]#--name=} ;;
        --name) name=${words[i + 1]:-} ;;
    esac
done
[[ $name =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] || { echo "slurm.sh: --name must name the study, is '$name'" >&2; exit 2; }

# Several jobs may share a machine: ports of this job's own, 20 apart, above those of Ray's workers (10002 to 19999) and
# below those that Linux hands out itself (from 32768 on).
base=$((20000 + SLURM_JOB_ID % 600 * 20))
mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}
ip=$(srun --nodes=1 --ntasks=1 -w "$head" hostname --ip-address | awk '{print $1}')
export RAY_ADDRESS=$ip:$base

cpus=${SLURM_CPUS_PER_TASK:-1}
gpus=${SLURM_GPUS_ON_NODE:-0}
ports=(--node-manager-port=$((base + 1)) --object-manager-port=$((base + 2)) --dashboard-agent-listen-port=$((base + 3))
    --dashboard-agent-grpc-port=$((base + 4)) --runtime-env-agent-port=$((base + 5)) --metrics-export-port=$((base + 6)))
size=(--num-cpus="$cpus" --num-gpus="$gpus" --temp-dir="/tmp/ray-$SLURM_JOB_ID")

steps=()
# shellcheck disable=SC2329 # by the trap
end_steps() {
    # SIGTERM to each step ends its `ray start --block` and what that started; nothing of other jobs.
    for step in "${steps[@]}"; do kill -TERM "$step" 2>/dev/null || true; done
    wait
}
trap end_steps EXIT

srun --nodes=1 --ntasks=1 --overlap -w "$head" ray start --head --block --node-ip-address="$ip" --port="$base" \
    --ray-client-server-port=$((base + 7)) --dashboard-host=127.0.0.1 --dashboard-port=$((base + 8)) \
    "${ports[@]}" "${size[@]}" &
steps+=($!)

# Health: the head answers within two minutes, or the job ends.
for _ in {1..60}; do
    ray health-check --address "$RAY_ADDRESS" >/dev/null 2>&1 && break
    kill -0 "${steps[0]}" 2>/dev/null || { echo "slurm.sh: Ray's head did not start on $head" >&2; exit 1; }
    sleep 2
done
ray health-check --address "$RAY_ADDRESS" >/dev/null

for node in "${nodes[@]:1}"; do
    srun --nodes=1 --ntasks=1 --overlap -w "$node" ray start --block --address="$RAY_ADDRESS" "${ports[@]}" "${size[@]:0:2}" &
    steps+=($!)
done

# In the background, so that Slurm's SIGTERM two minutes before the end is heard at once and handed on.
if [[ -e $storage/studies/$name/study.yaml ]]; then
    dclf resume "$name" --storage "$storage/studies" --log plain &
else
    dclf sweep "$@" --sweep.storage "$storage/studies" --train.storage "$storage/checkpoints" --log plain &
fi
study=$!
trap 'kill -TERM "$study" 2>/dev/null || true' TERM INT
status=0
wait "$study" || status=$?
# A trap ends `wait` early; the study itself may need a while longer to write its last lines.
while kill -0 "$study" 2>/dev/null; do status=0; wait "$study" || status=$?; done
exit "$status"
