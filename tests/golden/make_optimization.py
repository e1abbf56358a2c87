"""Writes optimizers.h5, schedules.h5 and classification_loss.h5: what torch.optim, torch.optim.lr_scheduler and
torch.nn of Python do, in float64.

Each group of optimizers.h5 has attribute `options` (isnet's) and datasets `weight`, `bias`: the parameters after each
step, with the gradients of `gradients/`. Each group of `rates/` in schedules.h5 has the attribute `options` and the
dataset `rates`: the rate of each step (5 steps an epoch, 12 epochs); each of `plateaus/` the rate of each epoch, with
`metrics` shown to ReduceLROnPlateau after it.
"""
import sys

import h5py
import numpy as np
import torch

STEPS = 12
torch.set_default_dtype(torch.float64)


def optimizers(path):
    random = np.random.default_rng(7)
    shapes = {"weight": (3, 4), "bias": (4,)}
    start = {name: random.standard_normal(shape) for name, shape in shapes.items()}
    gradients = {name: random.standard_normal((STEPS, *shape)) for name, shape in shapes.items()}
    kinds = {
        "sgd": ("momentum=0", torch.optim.SGD, {}),
        "sgd-momentum": ("momentum=0.9", torch.optim.SGD, {"momentum": 0.9}),
        "sgd-dampening": ("momentum=0.9 dampening=0.3 weight-decay=0.01", torch.optim.SGD,
                          {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
        "sgd-nesterov": ("momentum=0.8 nesterov=1 weight-decay=0.1", torch.optim.SGD,
                         {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1}),
        "adam": ("optimizer=adam", torch.optim.Adam, {}),
        "adam-decay": ("optimizer=adam betas=0.8,0.99 weight-decay=0.1 adam-epsilon=1e-6", torch.optim.Adam,
                       {"betas": (0.8, 0.99), "weight_decay": 0.1, "eps": 1e-6}),
        "adam-amsgrad": ("optimizer=adam amsgrad=1", torch.optim.Adam, {"amsgrad": True}),
        "adamw": ("optimizer=adamw", torch.optim.AdamW, {}),
        "adamw-decay": ("optimizer=adamw weight-decay=0.3 amsgrad=1", torch.optim.AdamW,
                        {"weight_decay": 0.3, "amsgrad": True}),
        "rmsprop": ("optimizer=rmsprop", torch.optim.RMSprop, {}),
        "rmsprop-momentum": ("optimizer=rmsprop rmsprop-momentum=0.7 rmsprop-alpha=0.9 weight-decay=0.05",
                             torch.optim.RMSprop, {"momentum": 0.7, "alpha": 0.9, "weight_decay": 0.05}),
        "rmsprop-centered": ("optimizer=rmsprop rmsprop-centered=1 rmsprop-epsilon=1e-6", torch.optim.RMSprop,
                             {"centered": True, "eps": 1e-6}),
    }
    with h5py.File(path, "w") as file:
        for name in shapes:
            file[f"start/{name}"] = start[name]
            file[f"gradients/{name}"] = gradients[name]
        groups = {
            "": lambda weight, bias: [{"params": [weight, bias]}],
            "-groups": lambda weight, bias: [{"params": [weight], "lr": 0.005},
                                             {"params": [bias], "weight_decay": 0.0}],
        }
        for kind, (options, optimizer_class, settings) in kinds.items():
            for suffix, make in groups.items():
                weight, bias = (torch.nn.Parameter(torch.tensor(start[name])) for name in shapes)
                optimizer = optimizer_class(make(weight, bias), lr=0.05, **settings)
                group = file.create_group(kind + suffix)
                more = " lr-factors=weight=0.1 weight-decay-exclude=biases" if suffix else ""
                group.attrs["options"] = options + " lr=0.05" + more
                path_of = {"weight": [], "bias": []}
                for step in range(STEPS):
                    weight.grad = torch.tensor(gradients["weight"][step])
                    bias.grad = torch.tensor(gradients["bias"][step])
                    optimizer.step()
                    path_of["weight"].append(weight.detach().numpy().copy())
                    path_of["bias"].append(bias.detach().numpy().copy())
                for name, values in path_of.items():
                    group[name] = np.stack(values)


EPOCHS, STEPS_PER_EPOCH = 12, 5
RATE = 0.8


def rates(make, interval, warmup):
    """The rate of each step: a scheduler that steps by `interval`, and a linear warm-up by step."""
    schedule = torch.optim.lr_scheduler
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=RATE)
    main = make(schedule, optimizer)
    # The factor of the warm-up, from a scheduler of its own.
    other = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    rising = schedule.LinearLR(other, start_factor=1 / warmup, end_factor=1.0, total_iters=warmup - 1) if warmup else None
    values = []
    for _ in range(EPOCHS):
        for _ in range(STEPS_PER_EPOCH):
            values.append(optimizer.param_groups[0]["lr"] * other.param_groups[0]["lr"])
            optimizer.step()
            other.step()
            if rising:
                rising.step()
            if interval == "step":
                main.step()
        if interval == "epoch":
            main.step()
    return np.array(values)


def warmed(make, warmup):
    """A schedule that begins after `warmup` of its own units, at the rate that it starts with."""
    def build(schedule, optimizer):
        hold = schedule.ConstantLR(optimizer, factor=1.0, total_iters=warmup)
        return schedule.SequentialLR(optimizer, [hold, make(schedule, optimizer)], milestones=[warmup])
    return build


class ThenSwa:
    """A schedule by epoch; SWALR from epoch `start` on, as Lightning's StochasticWeightAveraging has it."""

    def __init__(self, main, optimizer, start, **settings):
        self.main, self.optimizer, self.start, self.settings, self.epoch = main, optimizer, start, settings, 0

    def step(self):
        self.epoch += 1
        if self.epoch > self.start:
            self.swa.step()
        else:
            self.main.step()
        if self.epoch == self.start:
            self.swa = torch.optim.swa_utils.SWALR(self.optimizer, **self.settings)


def schedules(path):
    steps = EPOCHS * STEPS_PER_EPOCH
    cases = {
        "constant-warm": ("warmup-steps=7", lambda s, o: s.ConstantLR(o, factor=1.0), "epoch", 7),
        "step": ("lr-schedule=step lr-step-size=4 lr-gamma=0.3", lambda s, o: s.StepLR(o, 4, 0.3), "epoch", 0),
        "step-by-step": ("lr-schedule=step lr-step-size=9 lr-gamma=0.5 lr-interval=step",
                         lambda s, o: s.StepLR(o, 9, 0.5), "step", 0),
        "multi-step-warm": ("lr-schedule=multi-step lr-milestones=2,5,6 lr-gamma=0.5 warmup-epochs=1",
                            lambda s, o: s.MultiStepLR(o, [2, 5, 6], 0.5), "epoch", STEPS_PER_EPOCH),
        "multi-step-by-step": ("lr-schedule=multi-step lr-milestones=11,40 lr-gamma=0.1 lr-interval=step",
                               lambda s, o: s.MultiStepLR(o, [11, 40], 0.1), "step", 0),
        "exponential": ("lr-schedule=exponential lr-gamma=0.9", lambda s, o: s.ExponentialLR(o, 0.9), "epoch", 0),
        "exponential-by-step": ("lr-schedule=exponential lr-gamma=0.97 lr-interval=step warmup-steps=3",
                                lambda s, o: s.ExponentialLR(o, 0.97), "step", 3),
        "cosine": ("lr-schedule=cosine lr-min=0.05",
                   lambda s, o: s.CosineAnnealingLR(o, steps, eta_min=0.05), "step", 0),
        "cosine-warm": ("lr-schedule=cosine warmup-steps=10",
                        warmed(lambda s, o: s.CosineAnnealingLR(o, steps - 10), 10), "step", 10),
        "cosine-by-epoch": ("lr-schedule=cosine lr-interval=epoch lr-min=0.1",
                            lambda s, o: s.CosineAnnealingLR(o, EPOCHS, eta_min=0.1), "epoch", 0),
        "cosine-by-epoch-warm": ("lr-schedule=cosine lr-interval=epoch warmup-epochs=2",
                                 warmed(lambda s, o: s.CosineAnnealingLR(o, EPOCHS - 2), 2), "epoch",
                                 2 * STEPS_PER_EPOCH),
        "polynomial": ("lr-schedule=polynomial lr-power=2",
                       lambda s, o: s.PolynomialLR(o, total_iters=steps, power=2), "step", 0),
        "polynomial-by-epoch": ("lr-schedule=polynomial lr-interval=epoch",
                                lambda s, o: s.PolynomialLR(o, total_iters=EPOCHS, power=1), "epoch", 0),
    }
    cases |= {
        "one-cycle": ("lr-schedule=one-cycle",
                      lambda s, o: s.OneCycleLR(o, RATE, total_steps=steps, cycle_momentum=False), "step", 0),
        "one-cycle-linear": ("lr-schedule=one-cycle lr-anneal=linear lr-pct-start=0.5 lr-div-factor=10 "
                             "lr-final-div-factor=100",
                             lambda s, o: s.OneCycleLR(o, RATE, total_steps=steps, cycle_momentum=False, pct_start=0.5,
                                                       anneal_strategy="linear", div_factor=10, final_div_factor=100),
                             "step", 0),
        "one-cycle-three": ("lr-schedule=one-cycle lr-three-phase=1 lr-pct-start=0.4",
                            lambda s, o: s.OneCycleLR(o, RATE, total_steps=steps, cycle_momentum=False, pct_start=0.4,
                                                      three_phase=True), "step", 0),
        "cyclic": ("lr-schedule=cyclic lr-min=0.1 lr-cycle-up=7",
                   lambda s, o: s.CyclicLR(o, 0.1, RATE, step_size_up=7, cycle_momentum=False), "step", 0),
        "cyclic-halved": ("lr-schedule=cyclic lr-min=0.05 lr-cycle-up=4 lr-cycle-down=9 lr-cycle-mode=triangular2",
                          lambda s, o: s.CyclicLR(o, 0.05, RATE, step_size_up=4, step_size_down=9, mode="triangular2",
                                                  cycle_momentum=False), "step", 0),
        "cyclic-range": ("lr-schedule=cyclic lr-cycle-up=3 lr-cycle-mode=exp-range lr-gamma=0.98",
                         lambda s, o: s.CyclicLR(o, 0, RATE, step_size_up=3, mode="exp_range", gamma=0.98,
                                                 cycle_momentum=False), "step", 0),
        "swa": ("average=swa swa-start=5 swa-lr=0.05 swa-anneal-epochs=4",
                lambda s, o: ThenSwa(s.ConstantLR(o, factor=1.0), o, 5, swa_lr=0.05, anneal_epochs=4), "epoch", 0),
        "swa-linear": ("lr-schedule=step lr-step-size=2 lr-gamma=0.5 average=swa swa-start=0.5 max-epochs=12 "
                       "swa-lr=0.3 swa-anneal=linear swa-anneal-epochs=3",
                       lambda s, o: ThenSwa(s.StepLR(o, 2, 0.5), o, 6, swa_lr=0.3, anneal_epochs=3,
                                            anneal_strategy="linear"), "epoch", 0),
        "swa-at-once": ("lr-schedule=exponential lr-gamma=0.9 average=swa swa-start=9 swa-lr=0.7 swa-anneal-epochs=0",
                        lambda s, o: ThenSwa(s.ExponentialLR(o, 0.9), o, 9, swa_lr=0.7, anneal_epochs=0), "epoch", 0),
    }
    random = np.random.default_rng(3)
    # Falls, a plateau with small gains, a jump up, and falls again.
    metrics = np.concatenate([np.linspace(2, 1, 6), 1 - 5e-5 * np.arange(12), [1.5, 1.4, 0.7], 0.7 + 0.1 *
                              random.random(19)])
    plateaus = {
        "default": ("", {}),
        "patient": ("lr-patience=3 lr-gamma=0.5", {"patience": 3, "factor": 0.5}),
        "cooling": ("lr-patience=1 lr-cooldown=4 lr-gamma=0.5", {"patience": 1, "cooldown": 4, "factor": 0.5}),
        "absolute": ("lr-patience=2 lr-threshold=0.01 lr-threshold-mode=abs",
                     {"patience": 2, "threshold": 0.01, "threshold_mode": "abs"}),
        "larger": ("lr-patience=2 monitor-mode=max", {"patience": 2, "mode": "max"}),
        "larger-absolute": ("lr-patience=0 monitor-mode=max lr-threshold=0.3 lr-threshold-mode=abs lr-gamma=0.7",
                            {"patience": 0, "mode": "max", "threshold": 0.3, "threshold_mode": "abs",
                             "factor": 0.7}),
        "bounded": ("lr-patience=0 lr-gamma=0.5 lr-min=0.1", {"patience": 0, "factor": 0.5, "min_lr": 0.1}),
    }
    with h5py.File(path, "w") as file:
        for name, (options, make, interval, warmup) in cases.items():
            group = file.create_group("rates/" + name)
            group.attrs["options"] = options
            group["rates"] = rates(make, interval, warmup)
        file["metrics"] = metrics
        for name, (options, settings) in plateaus.items():
            optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=RATE)
            plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **settings)
            values = []
            for metric in metrics:
                values.append(optimizer.param_groups[0]["lr"])
                plateau.step(metric)
            group = file.create_group("plateaus/" + name)
            group.attrs["options"] = options
            group["rates"] = np.array(values)


def focal(logits, labels, gamma, weight, smoothing):
    """Lin et al., term by term."""
    p = torch.softmax(logits, 1)
    classes = logits.shape[1]
    total = torch.zeros(())
    for i, label in enumerate(labels):
        for k in range(classes):
            target = (1 - smoothing) * (k == label) + smoothing / classes
            total = total - target * weight[k] * (1 - p[i, k]) ** gamma * torch.log(p[i, k])
    return total / sum(weight[label] for label in labels)


def focal_multi(logits, labels, gamma):
    """torchvision.ops.sigmoid_focal_loss with alpha = -1, mean."""
    p = torch.sigmoid(logits)
    p_t = p * labels + (1 - p) * (1 - labels)
    return (-((1 - p_t) ** gamma) * torch.log(p_t)).mean()


def classification(path):
    functional = torch.nn.functional
    random = np.random.default_rng(11)
    logits = 3 * random.standard_normal((7, 4))
    labels = np.array([0, 1, 3, 3, 2, 1, 3])
    several = random.integers(0, 2, (7, 4)).astype(np.float64)
    weight, positive = [0.5, 2.0, 0.0, 1.25], [1.0, 3.0, 0.25, 2.0]
    w, pos, one = torch.tensor(weight), torch.tensor(positive), torch.ones(4)
    texts = {"w": "class-weights=" + ",".join(map(str, weight)), "pos": "positive-weights=" + ",".join(map(str, positive))}
    single = {
        "plain": ("", lambda x, y: functional.cross_entropy(x, y)),
        "weights": (texts["w"], lambda x, y: functional.cross_entropy(x, y, weight=w)),
        "smoothing": ("label-smoothing=0.2", lambda x, y: functional.cross_entropy(x, y, label_smoothing=0.2)),
        "weights-smoothing": (texts["w"] + " label-smoothing=0.1",
                              lambda x, y: functional.cross_entropy(x, y, weight=w, label_smoothing=0.1)),
        "focal": ("focal-gamma=2", lambda x, y: focal(x, y, 2, one, 0)),
        "focal-half": ("focal-gamma=0.5", lambda x, y: focal(x, y, 0.5, one, 0)),
        "focal-all": (texts["w"] + " focal-gamma=1.5 label-smoothing=0.1", lambda x, y: focal(x, y, 1.5, w, 0.1)),
    }
    bce = functional.binary_cross_entropy_with_logits
    multi = {
        "plain": ("", lambda x, y: bce(x, y)),
        "positive": (texts["pos"], lambda x, y: bce(x, y, pos_weight=pos)),
        "both": (texts["w"] + " " + texts["pos"], lambda x, y: bce(x, y, weight=w, pos_weight=pos)),
        "smoothing": ("label-smoothing=0.2", lambda x, y: bce(x, y * 0.8 + 0.1)),
        "focal": ("focal-gamma=2", lambda x, y: focal_multi(x, y, 2)),
    }
    with h5py.File(path, "w") as file:
        file["logits"], file["labels"], file["several"] = logits, labels, several
        for kind, cases, target in (("single", single, torch.tensor(labels)), ("multi", multi, torch.tensor(several))):
            for name, (options, loss_of) in cases.items():
                x = torch.tensor(logits, requires_grad=True)
                loss = loss_of(x, target)
                loss.backward()
                group = file.create_group(f"{kind}/{name}")
                group.attrs["options"] = options or " "
                group["loss"] = np.array([loss.item()])
                group["gradient"] = x.grad.numpy()


if __name__ == "__main__":
    classification(sys.argv[1] + "/classification_loss.h5")
    optimizers(sys.argv[1] + "/optimizers.h5")
    schedules(sys.argv[1] + "/schedules.h5")
