"""The usual way to read HDF5 in PyTorch: an h5py Dataset in a DataLoader. Runs what `isnet bench data` asks for.

Argument: JSON with "shards", "batch-size" and "workers". Answers a line of JSON for each line on stdin:
"step": an epoch in random order; "deflate OTHER": writes the shards again, compressed, one chunk a sample.
"""
import json
import os
import platform
import sys
import time


def say(**answer):
    print(json.dumps(answer), flush=True)


try:
    import h5py
    import torch
except ImportError as missing:
    say(unavailable=f"{missing}")
    sys.exit(0)


class Shards(torch.utils.data.Dataset):
    def __init__(self, paths):
        self.paths, self.files = paths, None
        self.places = []
        for number, path in enumerate(paths):
            with h5py.File(path, "r") as file:
                self.places += [(number, row) for row in range(file["images"].shape[0])]

    def __len__(self):
        return len(self.places)

    def __getitem__(self, index):
        if self.files is None:  # in the worker: HDF5 files do not survive a fork
            self.files = [h5py.File(path, "r") for path in self.paths]
        number, row = self.places[index]
        file = self.files[number]
        image = torch.from_numpy(file["images"][row]).float().div_(255)
        mask = torch.from_numpy(file["masks"][row]).float().div_(255)
        return image, mask, int(file["labels"][row])


def peak_bytes():
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    return 0


def write_compressed(paths, folder):
    for path in paths:
        with h5py.File(path, "r") as source, h5py.File(os.path.join(folder, os.path.basename(path)), "w") as copy:
            for name, value in source.attrs.items():
                copy.attrs[name] = value
            for name in ("images", "masks"):
                data = source[name]
                copy.create_dataset(name, data=data[()], chunks=(1, *data.shape[1:]), compression="gzip")
            copy["labels"] = source["labels"][()]


def main():
    request = json.loads(sys.argv[1])
    workers = request["workers"]
    loader = torch.utils.data.DataLoader(
        Shards(request["shards"]), batch_size=request["batch-size"], shuffle=True, num_workers=workers,
        persistent_workers=workers > 0)
    say(torch=torch.__version__, python=platform.python_version(), h5py=h5py.__version__)
    for line in sys.stdin:
        begin = time.perf_counter()
        words = line.split(maxsplit=1)
        samples = 0
        if words[0] == "step":
            for images, masks, _ in loader:
                samples += images.shape[0]
            say(seconds=time.perf_counter() - begin, samples=samples, peak_bytes=peak_bytes())
        elif words[0] == "deflate":
            write_compressed(request["shards"], words[1].strip())
            say(seconds=time.perf_counter() - begin)
        else:
            say(error=f"unknown request {line!r}", status=1)


main()
