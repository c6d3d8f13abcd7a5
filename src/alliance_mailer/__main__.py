"""`python -m alliance_mailer` is `mailer`."""

from .cli import main

if __name__ == "__main__":
    main()
