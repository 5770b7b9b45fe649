"""Makes `python -m brats_unet` the same as the command `brats-unet`."""

import sys

from brats_unet.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
