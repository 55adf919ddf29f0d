"""``python -m nncompare``."""

from nncompare.cli import main

if __name__ == "__main__":
    main()
