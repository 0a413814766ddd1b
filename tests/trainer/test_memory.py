import platform
import subprocess
import sys

import pytest

CODE = """
import sys
from rcas_trainer.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
block = bytearray(b"x") * (200 << 20)
del block
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS")))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's settings")
def test_freed_memory_stays_in_the_process_if_asked() -> None:
    kept, returned = (
        int(subprocess.check_output([sys.executable, "-c", CODE, how], text=True)) for how in ("keep", "leave")
    )
    assert kept - returned > 150 << 10
