"""The error that a user can do something about."""


class TumorlensError(Exception):
    """A mistake in the input, not in the program.

    Its message is one line that says what was expected, what came and what to do. The command line prints
    it without a traceback and exits with code 2.
    """
