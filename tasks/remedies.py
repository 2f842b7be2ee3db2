"""What to do about an error of the operating system, by its number."""

import errno

_REMEDIES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space, or have the quota raised",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close some programs, or have the machine's limit of open files raised",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EACCES: "give yourself permission, or choose another place",
    errno.EPERM: "give yourself permission, or choose another place",
    errno.EROFS: "choose a place on a file system that can be written",
    errno.ELOOP: "remove the links that lead in a circle",
    errno.EIO: "check the disk or its network (dmesg)",
    errno.EAGAIN: "end some processes, or raise their limit (ulimit -u)",
    errno.ENOMEM: "free some memory",
}


def remedy_of(error: OSError) -> str:
    """Return the remedy for what failed; for what has none of its own, to look at the path."""
    return _REMEDIES.get(error.errno or 0, "check the path, or choose another")
