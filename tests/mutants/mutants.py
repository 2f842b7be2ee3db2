"""Bugs that the tests must find: where each is planted, as an exact replacement of text, and who must find it."""

from tests.mutants import (
    clusters,
    commits,
    densities,
    gates,
    kernels,
    ladders,
    modes,
    nodes,
    processes,
    stores,
    streams,
    tables,
    tails,
    tracking,
    training,
    user_code,
)

MUTANTS = (
    *kernels.MUTANTS,
    *ladders.MUTANTS,
    *modes.MUTANTS,
    *streams.MUTANTS,
    *training.MUTANTS,
    *densities.MUTANTS,
    *stores.MUTANTS,
    *gates.MUTANTS,
    *tables.MUTANTS,
    *clusters.MUTANTS,
    *commits.MUTANTS,
    *nodes.MUTANTS,
    *processes.MUTANTS,
    *tails.MUTANTS,
    *tracking.MUTANTS,
    *user_code.MUTANTS,
)
