"""Python's side of `isnet bench step` and `ddp`: the same network in torch.nn, as Python's PyTorch trains it.

Started by the benchmark as `python -c <this text> OPTIONS`, OPTIONS being a JSON object. Writes a greeting when it is
ready, then one JSON line for each request line on stdin: "step" (one step, timed) or "convolutions" (one step, and
the share of its time in convolutions). With "world-size" this process is rank 0 and starts the others.
"""
import contextlib
import datetime
import json
import math
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import warnings

RANK = int(os.environ.get("PLAIN_STEP_RANK", "0"))


def say(**answer):
    if RANK == 0:
        print(json.dumps(answer), flush=True)


try:
    import torch
    from torch import nn
except ImportError as error:
    say(unavailable=str(error))
    sys.exit(0)


class Unknown(Exception):
    """An option value that has no counterpart here."""


def integers(text):
    return [int(part) for part in text.split(",")]


# Networks, with torchvision's structure and parameter names. ReLUs in place, as there.


class DenseLayer(nn.Module):
    def __init__(self, channels, growth):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, features):
        x = self.conv1(self.relu(self.norm1(torch.cat(features, 1))))
        return self.conv2(self.relu(self.norm2(x)))


class DenseBlock(nn.ModuleDict):
    def __init__(self, channels, growth, count):
        super().__init__()
        for i in range(count):
            self[f"denselayer{i + 1}"] = DenseLayer(channels + i * growth, growth)

    def forward(self, x):
        features = [x]
        for layer in self.values():
            features.append(layer(features))
        return torch.cat(features, 1)


class Transition(nn.Module):
    def __init__(self, channels, out):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, out, 1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.AvgPool2d(2, 2)

    def forward(self, x):  # an ISNet has a ReLU between convolution and pool
        return self.pool(self.relu(self.conv(self.relu(self.norm(x)))))


class DenseNet(nn.Module):
    def __init__(self, growth, init_features, blocks, classes, dropout):
        super().__init__()
        features = [
            ("conv0", nn.Conv2d(3, init_features, 7, stride=2, padding=3, bias=False)),
            ("norm0", nn.BatchNorm2d(init_features)),
            ("relu0", nn.ReLU(inplace=True)),
            ("pool0", nn.MaxPool2d(3, 2, padding=1)),
        ]
        channels = init_features
        for i, count in enumerate(blocks):
            features.append((f"denseblock{i + 1}", DenseBlock(channels, growth, count)))
            channels += count * growth
            if i + 1 < len(blocks):
                features.append((f"transition{i + 1}", Transition(channels, channels // 2)))
                channels //= 2
        features += [("norm5", nn.BatchNorm2d(channels)), ("relu5", nn.ReLU(inplace=True))]
        self.features = nn.Sequential()
        for name, module in features:
            self.features.add_module(name, module)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x):
        return self.classifier(self.dropout(self.pool(self.features(x)).flatten(1)))


class ResidualBlock(nn.Module):
    def __init__(self, layers, channels, out, stride):
        super().__init__()
        self.count = len(layers)
        for i, (layer_in, layer_out, kernel, layer_stride) in enumerate(layers):
            convolution = nn.Conv2d(layer_in, layer_out, kernel, layer_stride, kernel // 2, bias=False)
            self.add_module(f"conv{i + 1}", convolution)
            self.add_module(f"bn{i + 1}", nn.BatchNorm2d(layer_out))
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        branch = x
        for i in range(self.count):
            branch = getattr(self, f"bn{i + 1}")(getattr(self, f"conv{i + 1}")(branch))
            if i + 1 < self.count:
                branch = self.relu(branch)
        branch += x if self.downsample is None else self.downsample(x)
        return self.relu(branch)


class ResNet(nn.Module):
    def __init__(self, kind, blocks, widths, classes, dropout):
        super().__init__()
        channels = widths[0]
        self.conv1 = nn.Conv2d(3, channels, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.stages = len(blocks)
        for stage, (count, width) in enumerate(zip(blocks, widths)):
            layer = nn.Sequential()
            for i in range(count):
                stride = 2 if stage > 0 and i == 0 else 1
                if kind == "basic":
                    out, layers = width, [(channels, width, 3, stride), (width, width, 3, 1)]
                else:
                    out = 4 * width
                    layers = [(channels, width, 1, 1), (width, width, 3, stride), (width, out, 1, 1)]
                layer.append(ResidualBlock(layers, channels, out, stride))
                channels = out
            self.add_module(f"layer{stage + 1}", layer)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in range(self.stages):
            x = getattr(self, f"layer{stage + 1}")(x)
        return self.fc(self.dropout(self.avgpool(x).flatten(1)))


class VGG(nn.Module):
    def __init__(self, layers, batch_norm, pool, hidden, classes, dropout):
        super().__init__()
        self.features = nn.Sequential()
        channels = 3
        for layer in layers:
            if layer == "M":
                self.features.append(nn.MaxPool2d(2, 2))
                continue
            self.features.append(nn.Conv2d(channels, int(layer), 3, padding=1))
            channels = int(layer)
            if batch_norm:
                self.features.append(nn.BatchNorm2d(channels))
            self.features.append(nn.ReLU(inplace=True))
        self.avgpool = nn.AdaptiveAvgPool2d(pool)
        self.classifier = nn.Sequential()
        width = channels * pool[0] * pool[1]
        for size in hidden:
            self.classifier.extend([nn.Linear(width, size), nn.ReLU(inplace=True), nn.Dropout(dropout)])
            width = size
        self.classifier.append(nn.Linear(width, classes))

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


DENSENETS = {
    "densenet121": (32, 64, [6, 12, 24, 16]),
    "densenet161": (48, 96, [6, 12, 36, 24]),
    "densenet169": (32, 64, [6, 12, 32, 32]),
    "densenet201": (32, 64, [6, 12, 48, 32]),
}
RESNETS = {
    "resnet18": ("basic", [2, 2, 2, 2]),
    "resnet34": ("basic", [3, 4, 6, 3]),
    "resnet50": ("bottleneck", [3, 4, 6, 3]),
    "resnet101": ("bottleneck", [3, 4, 23, 3]),
    "resnet152": ("bottleneck", [3, 8, 36, 3]),
}
VGGS = {  # convolutions in each of the five stages
    "vgg11": [1, 1, 2, 2, 2],
    "vgg13": [2, 2, 2, 2, 2],
    "vgg16": [2, 2, 3, 3, 3],
    "vgg19": [2, 2, 4, 4, 4],
}


def make_network(options):
    name, classes, dropout = options["network"], int(options["num-classes"]), float(options["dropout"])
    blocks = options.get("blocks", "")
    if name == "densenet":
        shape = (int(options["growth-rate"]), int(options["init-features"]), integers(blocks or "3,9,2"))
        return DenseNet(*shape, classes, dropout)
    if name in DENSENETS:
        return DenseNet(*DENSENETS[name], classes, dropout)
    if name == "resnet":
        shape = (options["block"], integers(blocks or "2,2,2,2"), integers(options["widths"]))
        return ResNet(*shape, classes, dropout)
    if name in RESNETS:
        return ResNet(*RESNETS[name], [64, 128, 256, 512], classes, dropout)
    if name == "vgg":
        shape = (options["layers"].split(","), options["batch-norm"] == "1", integers(options["pool"]))
        return VGG(*shape, integers(options["hidden"]), classes, dropout)
    plain = name.removesuffix("_bn")
    if plain in VGGS:
        layers = []
        for width, count in zip([64, 128, 256, 512, 512], VGGS[plain]):
            layers += [width] * count + ["M"]
        return VGG(layers, name != plain, [7, 7], [4096, 4096], classes, dropout)
    raise Unknown(f"bench/plain_step.py has no network '{name}'")


def make_optimizer(options, parameters):
    if options["optimizer"] != "sgd":
        raise Unknown(f"bench/plain_step.py has no optimiser '{options['optimizer']}'")
    return torch.optim.SGD(parameters, lr=float(options["lr"]), momentum=float(options["momentum"]),
                           nesterov=options["nesterov"] == "1", weight_decay=float(options["weight-decay"] or 0))


def fill_with_noise(tensor, seed, scale, offset):
    """offset + scale · numbers from -1 to 1 that ours and Python's side compute alike; in pieces, to save memory."""
    flat, piece = tensor.view(-1), 1 << 20
    for begin in range(0, flat.numel(), piece):
        places = torch.arange(begin, min(begin + piece, flat.numel()), dtype=torch.float64)
        values = torch.sin(places * 12.9898 + seed * 78.233).mul_(43758.5453).frac_()
        flat[begin:begin + piece] = values * scale + offset


def fingerprint(options, dtype, normalize, images):
    """Logits, in evaluation mode, under weights that are a function of the parameters' sorted names."""
    network = make_network(options).to(dtype).eval()
    with torch.no_grad():
        for seed, (_, parameter) in enumerate(sorted(network.named_parameters())):
            if parameter.dim() > 1:
                fill_with_noise(parameter, seed, math.sqrt(6 * parameter.size(0) / parameter.numel()), 0)
            else:
                fill_with_noise(parameter, seed, 0.1, 1)
        pixels = torch.empty_like(images[:1])
        fill_with_noise(pixels, 0.5, 0.5, 0.5)
        return network(normalize(pixels))[0].tolist()


@contextlib.contextmanager
def without_stderr():
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


class Plain:
    """Forward pass, cross-entropy, backward pass, optimiser; or the forward pass alone, without gradients."""

    def __init__(self, options):
        torch.set_num_threads(int(options["threads"]))
        torch.manual_seed(0)
        precision = options["precision"]
        if precision not in ("32", "64", "bf16-mixed"):
            raise Unknown(f"bench/plain_step.py has no precision '{precision}'")
        dtype = torch.float64 if precision == "64" else torch.float32
        self.autocast = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed")
        side, batch = int(options["image-size"]), int(options["batch-size"])
        self.images = torch.rand(batch, 3, side, side).to(dtype)
        self.labels = torch.arange(batch) % int(options["num-classes"])
        self.mean, self.std = (torch.tensor(values, dtype=dtype).view(1, -1, 1, 1)
                               for values in (options["mean"], options["std"]))
        self.identity = bool((self.mean == 0).all() and (self.std == 1).all())
        self.logits = fingerprint(options, dtype, self.normalize, self.images)
        self.network = make_network(options).to(dtype)
        if options["memory-format"] == "channels_last":
            self.network = self.network.to(memory_format=torch.channels_last)
            self.images = self.images.to(memory_format=torch.channels_last)
        self.optimizer = make_optimizer(options, self.network.parameters())
        self.training = {"plain": True, "forward": False}[options["variant"]]
        self.network.train(self.training)
        self.runs = "python-plain" if self.training else "python-forward"
        if options["memory-format"] == "channels_last":
            self.runs += "-channels_last"
        self.ranks = None
        if "world-size" in options:
            self.ranks = Ranks(options["world-size"])
            settings = {} if options.get("broadcast-buffers", True) else {"broadcast_buffers": False}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # of another name for it in later releases
                self.network = nn.parallel.DistributedDataParallel(self.network, **settings)
            self.runs = "python-ddp-own-buffers" if settings else "python-ddp"

    def normalize(self, images):
        return images if self.identity else (images - self.mean) / self.std

    def step(self):
        begin = time.perf_counter()
        if self.training:
            with self.autocast:
                loss = nn.functional.cross_entropy(self.network(self.normalize(self.images)), self.labels)
            if not math.isfinite(loss.item()):
                raise RuntimeError("the loss is not finite")
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
        else:
            with torch.no_grad(), self.autocast:
                self.network(self.normalize(self.images))
        return time.perf_counter() - begin

    def convolution_share(self):
        with without_stderr():  # the profiler announces itself there
            with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
                seconds = self.step()
        spans = {}
        for event in profile.events():
            if event.name.startswith("aten::") and "conv" in event.name and "double_backward" not in event.name:
                spans.setdefault(event.thread, []).append((event.time_range.start, -event.time_range.end))
        inside = 0.0
        for thread in spans.values():
            last = -math.inf
            for start, negative_end in sorted(thread):  # outer before inner
                if start >= last:
                    inside += -negative_end - start
                    last = -negative_end
        return inside * 1e-6 / seconds


class Ranks:
    """Processes like this one, joined by Gloo on the loopback interface."""

    def __init__(self, count):
        self.count = count
        self.others = []
        place = os.environ.get("PLAIN_STEP_MEET")
        if RANK == 0:
            self.folder = tempfile.TemporaryDirectory()
            place = os.path.join(self.folder.name, "meet")
            for rank in range(1, count):
                environment = dict(os.environ, PLAIN_STEP_RANK=str(rank), PLAIN_STEP_MEET=place)
                self.others.append(subprocess.Popen([sys.executable, *sys.orig_argv[1:]], env=environment,
                                                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL))
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"
        torch.distributed.init_process_group("gloo", init_method="file://" + place, rank=RANK, world_size=count,
                                             timeout=datetime.timedelta(hours=2))

    def requests(self):
        """Lines of rank 0's stdin, on every rank."""
        while True:
            line = [sys.stdin.readline() if RANK == 0 else None]
            torch.distributed.broadcast_object_list(line)
            if not line[0]:
                return
            torch.distributed.barrier()
            yield line[0]

    def over_all(self, value, operation):
        tensor = torch.tensor([value], dtype=torch.float64)
        torch.distributed.all_reduce(tensor, operation)
        return tensor.item()

    def slowest(self, value):
        return self.over_all(value, torch.distributed.ReduceOp.MAX)

    def total(self, value):
        return self.over_all(value, torch.distributed.ReduceOp.SUM)


def peak_bytes():
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    return 0


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main():
    try:
        plain = Plain(json.loads(sys.argv[1]))
    except Unknown as unknown:
        say(unavailable=str(unknown))
        return
    say(torch=torch.__version__, python=platform.python_version(), runs=plain.runs, logits=plain.logits)
    ranks = plain.ranks
    cpu, wall = cpu_seconds(), time.perf_counter()
    for line in ranks.requests() if ranks else sys.stdin:
        idle_cpu, idle_wall = cpu_seconds() - cpu, time.perf_counter() - wall
        if line == "step\n":
            seconds, peak = plain.step(), peak_bytes()
            if ranks:
                seconds, peak, idle_cpu = ranks.slowest(seconds), int(ranks.slowest(peak)), ranks.total(idle_cpu)
            say(seconds=seconds, peak_bytes=peak, idle_cpu=idle_cpu, idle_wall=idle_wall)
        elif line == "convolutions\n":
            say(share=plain.convolution_share())
        else:
            say(error=f"unknown request {line!r}", status=1)
        cpu, wall = cpu_seconds(), time.perf_counter()


main()
