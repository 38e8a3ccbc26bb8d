"""The exceptions of the package."""


class Error(RuntimeError):
    """A message for a person: it names the file or layer, the value and the cure.

    The engine raises plain RuntimeError with texts of the same kind, so
    ``except RuntimeError`` catches both, as scripts for pycaffe do.
    """


class NoMemory(Error, MemoryError):
    """This machine has no memory for what it was to hold; a smaller batch may fit."""


class OutOfMemory(Error):
    """A GPU has no room for what it was to hold; a smaller batch may fit."""


class DiskFull(Error):
    """A disk, or a quota, has no room for a file; nothing of that file is left."""
