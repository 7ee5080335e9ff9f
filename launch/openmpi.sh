#!/bin/sh
# Train under Open MPI:   PROCESSES=8 HOSTFILE=hosts launch/openmpi.sh hdf/ model/ --epochs 30
# Only starts the processes; what they say to each other goes by jax. The first host of HOSTFILE (without one: this
# host) is that of process 0, whose name the others must be able to reach; COORDINATOR=HOST:PORT names another.
# SIGUSR1 or SIGTERM to this script saves in the midst of an epoch and ends with 75; the same command then goes on.
set -u
first_host=$(hostname)
if [ -n "${HOSTFILE:-}" ]; then
    first_host=$(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$HOSTFILE" | awk 'NR == 1 { print $1 }')
fi

# Unbound: each process computes and reads with many threads.
mpirun --np "${PROCESSES:?set PROCESSES to the number of processes}" ${HOSTFILE:+--hostfile "$HOSTFILE"} \
    --bind-to none -x JAX_COORDINATOR_ADDRESS="${COORDINATOR:-$first_host:${PORT:-61234}}" \
    "${PYTHON:-.venv/bin/python}" -m jaxmask.train "$@" &
mpirun=$!

# mpirun passes SIGUSR1 on, but kills a second after SIGTERM, which is too soon to save.
trap 'kill -USR1 "$mpirun"' TERM USR1
trap : INT # from the keyboard mpirun gets it too
wait "$mpirun"
code=$?
while kill -0 "$mpirun" 2>/dev/null; do # it was a signal that ended the wait
    wait "$mpirun"
    code=$?
done
exit "$code"
