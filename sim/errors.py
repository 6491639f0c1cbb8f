"""The errors a user can meet. The command line catches `SimError` alone and prints its one line."""

from __future__ import annotations


class SimError(Exception):
    """Something the user can mend; `exit_code` follows the contract."""

    exit_code = 2


class ScenarioError(SimError):
    """One or more problems in a scenario, each a line `file:line: path: what is wrong, what is allowed`.

    Parameters
    ----------
    problems : list of str
        Every problem found, in file order.
    """

    def __init__(self, problems: list[str] | str):
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class UsageError(SimError):
    """A command that cannot be carried out as given."""


class ResultError(SimError):
    """A result folder that is missing, foreign or damaged."""

    exit_code = 2


class Unreadable(ResultError):
    """A file of a result that is there and that the system does not let be read; whether it is damaged is not known."""

    exit_code = 74


class WriteError(SimError):
    """The disk refused: path and bytes needed are in the message."""

    exit_code = 74


class FolderHeld(SimError):
    """Another process holds the folder."""

    exit_code = 75


class Interrupted(SimError):
    """The user stopped the work; what is finished is kept, and the message says how to go on."""

    def __init__(self, message: str, exit_code: int):
        self.exit_code = exit_code
        super().__init__(message)


class WorkerLost(SimError):
    """A worker process died and took its run with it."""

    exit_code = 70


class InvariantError(SimError):
    """An accounting identity or a bound of the model broke during a run: a defect of the program."""

    exit_code = 70
