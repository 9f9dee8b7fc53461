"""`python -m mirr`: the command line, for when `mirr` is not on the PATH."""

from mirr.cli.main import main

if __name__ == "__main__":
    main()
