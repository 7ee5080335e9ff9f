"""Edge: --compile-cache: compiled programs kept in a folder, from which later runs and other hosts load them."""

from __future__ import annotations

from pathlib import Path

import jax

from preprocess.errors import UserError
from preprocess.files import writable_folder

# By jax's own names. It keeps only what takes a second or more to compile; ours are few, and small ones take part too.
SETTINGS = {"jax_persistent_cache_min_compile_time_secs": 0.0, "jax_persistent_cache_min_entry_size_bytes": -1}


def use_compile_cache(folder: str) -> None:
    """Keep compiled programs in `folder`, made if missing; to be called before anything is compiled; "" does nothing.

    An entry's key holds program, versions, flags of XLA, kind and features of the devices, so that runs, hosts and
    versions may share a folder. Of the processes of a run only the first one writes; on GPUs the others read what it
    wrote, on CPUs they compile for themselves. A damaged entry is told by jax and compiled anew.
    Raises UserError if `folder` can't be written.
    """
    if not folder:
        return
    path = Path(folder).expanduser().absolute()
    try:
        writable_folder(path)
    except UserError as error:
        raise UserError(f"--compile-cache: {error}") from error
    jax.config.update("jax_compilation_cache_dir", str(path))
    for name, value in SETTINGS.items():
        jax.config.update(name, value)
