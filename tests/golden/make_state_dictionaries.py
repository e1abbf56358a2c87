# Writes state_dictionary_zip.pth, state_dictionary_legacy.pth and state_dictionary_old.pth beside itself: small
# files of every kind that torch.save writes, or wrote. What is in them is known to state_dictionary_test.cpp.
import os
import struct
import collections

import torch

folder = os.path.dirname(os.path.abspath(__file__))


def counted(*shape, dtype=torch.float32, start=0):
    size = 1
    for extent in shape:
        size *= extent
    return (torch.arange(size) + start).reshape(shape).to(dtype)


grid = counted(4, 6)
state = collections.OrderedDict()
state["float"] = counted(2, 3)
state["double"] = counted(2, 3, dtype=torch.float64, start=1)
state["half"] = counted(5, dtype=torch.float16)
state["bfloat16"] = counted(5, dtype=torch.bfloat16)
state["long"] = counted(3, dtype=torch.int64, start=-1)
state["int"] = counted(3, dtype=torch.int32, start=-1)
state["short"] = counted(3, dtype=torch.int16, start=-1)
state["char"] = counted(3, dtype=torch.int8, start=-1)
state["byte"] = counted(3, dtype=torch.uint8)
state["bool"] = torch.tensor([True, False, True])
state["scalar"] = torch.tensor(7)
state["empty"] = torch.empty(0, 3)
state["transposed"] = grid.t()
state["part"] = grid[1:3, 2:5]
state["repeated"] = torch.tensor([2.5]).expand(3, 2)
state["parameter"] = torch.nn.Parameter(counted(2, 2))
state._metadata = collections.OrderedDict(version=1)

torch.save(state, f"{folder}/state_dictionary_zip.pth")
checkpoint = {
    "epoch": 3, "best": 0.5, "name": "run", "nothing": None, "milestones": collections.Counter({3: 1}),
    "optimizer": {"state": {0: {"momentum_buffer": grid}}, "param_groups": [{"lr": 0.1, "betas": (0.9, 0.99)}]},
    "state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}
torch.save(checkpoint, f"{folder}/state_dictionary_legacy.pth", _use_new_zipfile_serialization=False)


# As Python 2 and torch 0.1 to 0.3 wrote: byte strings, _rebuild_tensor, parameters and tensors by their state.
def text(value):
    return b"U" + bytes([len(value)]) + value.encode()


def storage(kind, key, elements):
    return (b"(" + text("storage") + b"ctorch\n" + kind.encode() + b"Storage\n" + text(key) + text("cpu") +
            b"K" + bytes([elements]) + b"NtQ")


def place(sizes, strides):
    def numbers(values):
        return b"(" + b"".join(b"K" + bytes([value]) for value in values) + b"t"
    return b"K\0" + numbers(sizes) + numbers(strides)


rebuilt = b"ctorch._utils\n_rebuild_tensor\n(" + storage("Float", "1", 4) + place((2, 2), (2, 1)) + b"tR"
by_state = b"ctorch\nDoubleTensor\n)R(" + storage("Double", "2", 2) + place((2,), (1,)) + b"tb"
parameter = b"ctorch.nn.parameter\nParameter\n)\x81(" + rebuilt + b"Nccollections\nOrderedDict\n)R\x88\x89tb"
items = [b"]" + b"(" + text(name) + value + b"e" for name, value in (
    ("features.denseblock1.denselayer1.norm.1.weight", rebuilt),
    ("features.denseblock1.denselayer1.conv.2.weight", by_state), ("classifier.weight", parameter))]
dictionary = b"ccollections\nOrderedDict\n(](" + b"".join(items) + b"etR"
with open(f"{folder}/state_dictionary_old.pth", "wb") as file:
    file.write(b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.")
    file.write(b"\x80\x02M\xe9\x03.")
    file.write(b"\x80\x02}" + text("little_endian") + b"\x88s.")
    file.write(b"\x80\x02" + dictionary + b".")
    file.write(b"\x80\x02](" + text("1") + text("2") + b"e.")
    file.write(struct.pack("<q4f", 4, 0, 1, 2, 3) + struct.pack("<q2d", 2, 0.5, 1.5))
