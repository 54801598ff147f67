"""`python -m imagewright`, the same as the program `imagewright`."""

from imagewright.cli.main import main

if __name__ == "__main__":
    main()
