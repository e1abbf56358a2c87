"""Makes the ONNX files and the golden vectors of this folder: torchvision's networks with fewer channels and random
weights, exported by torch.onnx. Usage: make.py [NAME…]

Needs torch, torchvision, onnx, onnxruntime, onnxscript and h5py. For each network NAME it writes NAME.onnx, and in
onnx.h5 a group NAME:
  logits      2×3, by onnxruntime, of images(2, size)
  blocks      3×3×8×8: input × gradient of each logit of the first image by PyTorch in float64, summed over blocks of
              size/8 pixels. What a gate multiplies, its gate is constant for.
  gradients/  for each parameter two sums of its gradient g, of the cross-entropy of labels 0 and 2 in evaluation
              mode: Σ g·sin(0.1·i), Σ|g|
"""
import pathlib
import sys
import warnings

import h5py
import numpy
import onnx
import onnxruntime
import torch
import torchvision
from torch import nn

HERE = pathlib.Path(__file__).parent
CLASSES = 3


def images(count, size):
    """Pixels by a formula, so that tests need no file for them."""
    index = numpy.arange(count * 3 * size * size, dtype=numpy.float64)
    return torch.from_numpy(0.5 + 0.5 * numpy.sin(0.37 * index + 0.011 * (index % 97))).view(count, 3, size, size)


class Narrow:
    """While it is entered, layers have a fraction of their channels."""

    def __init__(self, factor):
        self.factor = factor

    def width(self, channels):
        return channels if channels == CLASSES else max(1, channels // self.factor)

    def __enter__(self):
        width, self.kept = self.width, (nn.Conv2d, nn.BatchNorm2d, nn.Linear)
        conv, norm, linear = self.kept

        class Conv2d(conv):
            def __init__(self, inputs, outputs, *args, groups=1, **more):
                depthwise = groups == inputs and groups > 1
                inputs, outputs = width(inputs), width(outputs)
                fits = inputs % groups == 0 and outputs % groups == 0
                groups = inputs if depthwise else groups if fits else 2
                super().__init__(inputs, outputs, *args, groups=groups, **more)

        class BatchNorm2d(norm):
            def __init__(self, channels, *args, **more):
                super().__init__(width(channels), *args, **more)

        class Linear(linear):
            def __init__(self, in_features, out_features, *args, **more):
                super().__init__(width(in_features), width(out_features), *args, **more)

        nn.Conv2d, nn.BatchNorm2d, nn.Linear = Conv2d, BatchNorm2d, Linear
        torch.nn.modules.conv.Conv2d = Conv2d
        return self

    def __exit__(self, *_):
        nn.Conv2d, nn.BatchNorm2d, nn.Linear = self.kept
        torch.nn.modules.conv.Conv2d = self.kept[0]


def googlenet():
    net = torchvision.models.GoogLeNet(CLASSES, aux_logits=False, init_weights=False)
    for name in ("inception4b", "inception4c", "inception5a"):  # as many channels behind as before
        setattr(net, name, nn.Identity())
    return net


def mobilenet_v2():
    blocks = [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 1, 2], [6, 32, 1, 1]]
    return torchvision.models.MobileNetV2(CLASSES, inverted_residual_setting=blocks)


def mobilenet_v3():
    from torchvision.models.mobilenetv3 import InvertedResidualConfig as Block
    blocks = [Block(16, 3, 16, 16, True, "RE", 2, 1, 1), Block(16, 3, 72, 24, False, "RE", 2, 1, 1),
              Block(24, 5, 96, 40, True, "HS", 2, 1, 1), Block(40, 5, 240, 40, True, "HS", 1, 1, 1)]
    return torchvision.models.MobileNetV3(blocks, 256, CLASSES)


def efficientnet():
    from torchvision.models.efficientnet import MBConvConfig as Block
    blocks = [Block(1, 3, 1, 32, 16, 1, 1.0, 1.0), Block(6, 3, 2, 16, 24, 2, 1.0, 1.0), Block(6, 5, 2, 24, 40, 1, 1.0, 1.0)]
    return torchvision.models.EfficientNet(blocks, 0.2, num_classes=CLASSES)


def regnet():
    from torchvision.models.regnet import BlockParams, RegNet
    shape = BlockParams(depths=[1, 2, 1], widths=[48, 104, 208], group_widths=[16, 8, 8], bottleneck_multipliers=[1.0] * 3,
                        strides=[2] * 3, se_ratio=0.25)
    return RegNet(shape, CLASSES)


def densenet():
    return torchvision.models.DenseNet(4, (2, 3, 2), 8, bn_size=2, num_classes=CLASSES)


models = torchvision.models
NETWORKS = {  # name: network, factor, side of the images, exporter, batch norms kept
    "vgg11_bn": (lambda: models.vgg11_bn(num_classes=CLASSES), 128, 224, "script", True),
    "resnet18": (lambda: models.resnet18(num_classes=CLASSES), 32, 32, "script", True),
    "resnet18_folded": (lambda: models.resnet18(num_classes=CLASSES), 32, 32, "script", False),
    "resnet18_dynamo": (lambda: models.resnet18(num_classes=CLASSES), 32, 32, "dynamo", False),
    "resnext50": (lambda: models.ResNet(models.resnet.Bottleneck, [1, 1, 1, 1], CLASSES, groups=32, width_per_group=4), 32,
                  32, "script", True),
    "wide_resnet50": (lambda: models.ResNet(models.resnet.Bottleneck, [1, 1, 1, 1], CLASSES, width_per_group=128), 64, 32,
                      "script", True),
    "densenet121": (densenet, 1, 64, "script", True),
    "densenet121_dynamo": (densenet, 1, 64, "dynamo", False),
    "googlenet": (googlenet, 16, 64, "script", False),
    "mobilenet_v2": (mobilenet_v2, 8, 32, "script", True),
    "mobilenet_v2_dynamo": (mobilenet_v2, 8, 32, "dynamo", False),
    "mobilenet_v3": (mobilenet_v3, 8, 32, "script", True),
    "squeezenet1_1": (lambda: models.SqueezeNet("1_1", CLASSES), 8, 64, "script", True),
    "shufflenet_v2": (lambda: models.ShuffleNetV2([2, 2, 2], [24, 16, 24, 32, 48], CLASSES), 1, 32, "script", True),
    "shufflenet_v2_dynamo": (lambda: models.ShuffleNetV2([2, 2, 2], [24, 16, 24, 32, 48], CLASSES), 1, 32, "dynamo", False),
    "mnasnet": (lambda: models.MNASNet(0.25, CLASSES), 8, 32, "script", True),
    "regnet_y": (regnet, 8, 32, "script", True),
    "efficientnet_b0": (efficientnet, 8, 32, "script", True),
}


class ConstantGate(torch.autograd.Function):
    """x·f with f constant."""

    @staticmethod
    def forward(ctx, x, gate):
        ctx.save_for_backward(gate)
        ctx.shape = x.shape
        return x * gate

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.saved_tensors[0], None


def with_constant_gates(net):
    """Squeeze-and-excitation, SiLU and hard swish multiply by constants; all else is piecewise linear."""
    for module in net.modules():
        if isinstance(module, torchvision.ops.SqueezeExcitation):
            module.forward = lambda x, m=module: ConstantGate.apply(x, m._scale(x).detach())
        elif isinstance(module, nn.SiLU):
            module.forward = lambda x: ConstantGate.apply(x, torch.sigmoid(x).detach())
        elif isinstance(module, nn.Hardswish):
            module.forward = lambda x: ConstantGate.apply(x, nn.functional.hardsigmoid(x).detach())
        elif isinstance(module, nn.Dropout):
            module.p = 0.0


def export(net, file, size, exporter, norms):
    example = images(2, size).float()
    if exporter == "script":
        mode = torch.onnx.TrainingMode.PRESERVE if norms else torch.onnx.TrainingMode.EVAL
        torch.onnx.export(net, example, file, dynamo=False, opset_version=13, training=mode, do_constant_folding=not norms,
                          input_names=["images"], output_names=["logits"],
                          dynamic_axes={"images": {0: "batch"}, "logits": {0: "batch"}})
    else:
        torch.onnx.export(net, (example,), file, dynamo=True, external_data=False, input_names=["images"],
                          output_names=["logits"], dynamic_shapes=({0: torch.export.Dim("batch")},), verbose=False)
        model = onnx.load(file)
        for node in model.graph.node:  # where in Python a node comes from takes more room than the weights
            del node.metadata_props[:]
        del model.graph.value_info[:]
        onnx.save(model, file)


def make(name, results):
    builder, factor, size, exporter, norms = NETWORKS[name]
    torch.manual_seed(7)
    with Narrow(factor):
        net = builder()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.1, 0.3)
        elif isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.uniform_(module.bias, -0.1, 0.1)
        elif isinstance(module, nn.Dropout):
            module.p = 0.0 if norms else module.p
    net.eval()
    file = HERE / f"{name}.onnx"
    export(net, str(file), size, exporter, norms)
    session = onnxruntime.InferenceSession(str(file))
    logits = session.run(None, {session.get_inputs()[0].name: images(2, size).float().numpy()})[0]

    net = net.double()
    loss = nn.functional.cross_entropy(net(images(2, size)), torch.tensor([0, 2]))
    loss.backward()
    gradients = {}
    for key, parameter in net.named_parameters():
        g = parameter.grad.flatten().numpy()
        gradients[key] = numpy.array([(g * numpy.sin(0.1 * numpy.arange(len(g)))).sum(), numpy.abs(g).sum()])
    with_constant_gates(net)
    x = images(1, size).requires_grad_()
    maps = []
    for logit in net(x)[0]:
        (g,) = torch.autograd.grad(logit, x, retain_graph=True)
        maps.append((x * g).detach()[0].view(3, 8, size // 8, 8, size // 8).sum((2, 4)).numpy())

    if name in results:
        del results[name]
    group = results.create_group(name)
    group.attrs["size"] = size
    group["logits"], group["blocks"] = logits.astype(numpy.float64), numpy.stack(maps)
    for key, values in gradients.items():
        group["gradients/" + key] = values
    weights = sum(p.numel() for p in net.parameters())
    print(f"{name}: {file.stat().st_size} bytes, {weights} parameters, logits {logits.ravel().round(3)}")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with h5py.File(HERE / "onnx.h5", "a") as file:
        for each in sys.argv[1:] or NETWORKS:
            make(each, file)
