"""`python -m tumorlens` is the command line."""

from tumorlens.cli import main

if __name__ == "__main__":
    main()
