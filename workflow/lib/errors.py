"""The one exception that users are meant to read."""


class InputError(Exception):
    """Something the user supplied (a file, a config key) cannot be used.

    The message is one sentence for the user: the file or key, what was found, what was
    expected, and what to do next. Scripts print it without a traceback and exit with
    status 1 (see `workflow.lib.jobs.script_job`).
    """
