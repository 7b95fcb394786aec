"""The command `tumorlens`, also as `python -m tumorlens`."""

import signal


def main() -> None:
    """Run the command line; Ctrl-C while it is loaded ends it without a word, as a shell expects."""
    heard = signal.getsignal(signal.SIGINT)
    if heard is signal.default_int_handler:  # else an interrupted import looks like a broken installation
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from tumorlens import cli

    if heard is signal.default_int_handler:
        signal.signal(signal.SIGINT, heard)
    cli.main()


if __name__ == "__main__":
    main()
