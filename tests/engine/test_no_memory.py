"""Where memory runs out: an error that names the layer, and a net that can go on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from one_layer import net_of

import p3d.caffe as caffe
from p3d.error import Error, NoMemory

TESTS = Path(__file__).parents[1]
#: Runs a layer on a bottom of 8 MiB where the process may have 3 MiB more.
SCRIPT = """
import re, resource, sys
import one_layer
from p3d import _core
import p3d.caffe as caffe

kind, action = sys.argv[1:]
_core.set_num_threads(1)
one_layer.run(one_layer.net_of('type: "ReLU"', (1, 2, 3)), 1)
net = one_layer.net_of(kind, (1, 1 << 20, 2))
net.blobs["b0"].data[...] = 1
with open("/proc/self/status") as status:
    size = int(re.search(r"VmSize:\\s+(\\d+) kB", status.read())[1]) << 10
resource.setrlimit(resource.RLIMIT_AS, (size + (3 << 20), -1))
try:
    eval(action)
except MemoryError as error:
    text, kind = str(error), type(error).__name__
resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
net.forward()
print(kind, text)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of the address space")
@pytest.mark.parametrize(
    ("layer", "action", "words"),
    [
        ("Sigmoid", "net.forward()", "Sigmoid 'layer': out of memory: 8 MiB wanted"),  # a top
        ("MVN", "net.forward()", "MVN 'layer': out of memory; a smaller batch"),  # its own
        ("Sigmoid", "net.blobs['b0'].diff", "blob 'b0' of shape 1 1048576 2 (2097152): out of"),
        ("PReLU", "net.params['layer'][0].data", "parameter 0 of PReLU 'layer' of shape 1048576"),
    ],
)
def test_what_there_is_no_memory_for_is_named(layer: str, action: str, words: str) -> None:
    command = [sys.executable, "-c", SCRIPT, f'type: "{layer}"', action]
    done = subprocess.run(command, capture_output=True, text=True, cwd=TESTS, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("NoMemory ")
    assert words in done.stdout


@pytest.mark.parametrize("kind", [NoMemory, Error])
def test_it_stays_what_it_is_in_a_python_layer(kind: type[Error], monkeypatch) -> None:
    """Whoever takes smaller batches then has to know it."""

    class Full(caffe.Layer):
        def forward(self, bottom, top) -> None:
            raise kind("no room")

    module = ModuleType("full_layers")
    module.Full = Full
    monkeypatch.setitem(sys.modules, "full_layers", module)
    net = net_of('type: "Python" python_param { module: "full_layers" layer: "Full" }', (1, 2))
    with pytest.raises(Error, match="Python 'layer': no room") as error:
        net.forward()
    assert type(error.value) is kind
