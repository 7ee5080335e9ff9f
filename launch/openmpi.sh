#!/bin/sh
# Train under Open MPI:   PROCESSES=8 HOSTFILE=hosts launch/openmpi.sh hdf/ model/ --epochs 30
# jaxmask finds its peers in Open MPI's environment; MPI itself carries nothing. One process a GPU.
set -eu
exec mpirun --np "${PROCESSES:?set PROCESSES to the number of processes}" ${HOSTFILE:+--hostfile "$HOSTFILE"} \
    "${PYTHON:-.venv/bin/python}" -m jaxmask.train "$@"
