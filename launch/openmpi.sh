#!/bin/sh
# Train under Open MPI:   PROCESSES=8 HOSTFILE=hosts launch/openmpi.sh hdf/ model/ --epochs 30
# Started on the host of the first process, whose name the others must be able to reach. MPI itself carries nothing.
set -eu
coordinator="${COORDINATOR:-$(hostname):${PORT:-61234}}"
exec mpirun --np "${PROCESSES:?set PROCESSES to the number of processes}" ${HOSTFILE:+--hostfile "$HOSTFILE"} \
    -x JAX_COORDINATOR_ADDRESS="$coordinator" \
    "${PYTHON:-.venv/bin/python}" -m jaxmask.train "$@"
