"""Errors that a user can mend: one line each, with the exit code that tells scripts what kind it was.

Every class takes its one message as its only argument, so that it survives the way back from a remote worker.
"""


class UserError(Exception):
    """Wrong input that the user can mend; `exit_code` is what the command line returns."""

    exit_code = 1


class UsageError(UserError):
    """The command or its configuration asks for something that cannot be."""

    exit_code = 2


class DataError(UserError):
    """The data cannot be read or cannot be modelled."""

    exit_code = 3


class StorageError(UserError):
    """A folder, bucket or file cannot be read or written."""

    exit_code = 4


class ServiceError(UserError):
    """Another service, such as the MLflow server, does not answer or refuses."""

    exit_code = 5
