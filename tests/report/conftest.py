"""The synthetic builder is a plain module of this folder: put the folder on the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
