#!/usr/bin/python3
"""Writes golden-training.json: losses with their gradients, the rates of every schedule, and fifty steps
of every optimizer under every schedule, and small trainings with smoothed labels and regularized activities.

They come from an independent implementation in float64: PyTorch's own optimizers (torch.optim) where they
follow Keras's formula, PyTorch's schedulers (torch.optim.lr_scheduler), losses and autograd. Written by hand
from the papers: lion (Chen et al. 2023, not in PyTorch), nadam (Dozat 2016), the focal losses (Lin et al.
2017), log-cosh and the hinges; from Keras's documentation: momentum, since Keras's velocity contains the rate
and PyTorch's does not. Keras's 1e-7 is used in the places of PyTorch's eps, within the tolerance of the test.
Usage: tests/golden/make-training.py [FOLDER].
"""
import json
import os
import re
import sys

import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
torch.set_default_dtype(torch.float64)
PARAMETERS = [1.0, -2.0, 0.5, 0.25, 3.0]
STEPS, EPOCH, RATE, EPSILON = 50, 10, 0.05, 1e-7
SHOWN = 10  # steps between two rows of a path


def gradient(step):
    """Exact in float32: eighths."""
    return torch.tensor([((7 * i + 3 * step) % 11 - 5) / 8 for i in range(len(PARAMETERS))])


def run(make, schedule):
    """The rate of each step, and the parameters after every tenth one."""
    p = torch.nn.Parameter(torch.tensor(PARAMETERS))
    optimizer = make([p])
    scheduler = schedule(optimizer)
    rates, path = [], []
    for step in range(1, STEPS + 1):
        rates.append(optimizer.param_groups[0]["lr"])
        p.grad = gradient(step)
        optimizer.step()
        if step < STEPS:
            scheduler.step()
        if step % SHOWN == 0:
            path.append(p.tolist())
    return rates, path


class Lion(torch.optim.Optimizer):
    def __init__(self, params, lr, betas):
        super().__init__(params, {"lr": lr, "betas": betas})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].get("m", torch.zeros_like(p))
                p -= group["lr"] * torch.sign(m * b1 + p.grad * (1 - b1))
                self.state[p]["m"] = m * b2 + p.grad * (1 - b2)


class Momentum(torch.optim.Optimizer):
    """keras.optimizers.SGD and RMSprop with a momentum."""

    def __init__(self, params, lr, nesterov=False, rho=None):
        super().__init__(params, {"lr": lr, "nesterov": nesterov, "rho": rho})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state, update = self.state[p], group["lr"] * p.grad
                if group["rho"] is not None:
                    state["mean"] = group["rho"] * state.get("mean", 0) + (1 - group["rho"]) * p.grad**2
                    update = update / torch.sqrt(state["mean"] + EPSILON)
                state["v"] = 0.9 * state.get("v", 0) - update
                p += 0.9 * state["v"] - update if group["nesterov"] else state["v"]


class Nadam(torch.optim.Optimizer):
    """Algorithm 2 of Dozat 2016 with its momentum schedule; PyTorch 1.13's has one factor too many."""

    def __init__(self, params, lr, eps):
        super().__init__(params, {"lr": lr, "eps": eps})

    @torch.no_grad()
    def step(self):
        b1, b2 = 0.9, 0.999
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                t = state["t"] = state.get("t", 0) + 1
                mu, mu_next = (b1 * (1 - 0.5 * 0.96**k) for k in (t, t + 1))
                state["product"] = state.get("product", 1) * mu
                state["m"] = b1 * state.get("m", 0) + (1 - b1) * p.grad
                state["v"] = b2 * state.get("v", 0) + (1 - b2) * p.grad**2
                mean = mu_next * state["m"] / (1 - state["product"] * mu_next)
                mean += (1 - mu) * p.grad / (1 - state["product"])
                p -= group["lr"] * mean / (torch.sqrt(state["v"] / (1 - b2**t)) + group["eps"])


O, S = torch.optim, torch.optim.lr_scheduler
OPTIMIZERS = {
    "sgd": lambda p: O.SGD(p, RATE),
    "sgd momentum": lambda p: Momentum(p, RATE),
    "sgd momentum nesterov": lambda p: Momentum(p, RATE, nesterov=True),
    "rmsprop momentum": lambda p: Momentum(p, RATE, rho=0.9),
    "adam": lambda p: O.Adam(p, RATE, eps=EPSILON),
    "adamw": lambda p: O.AdamW(p, RATE, eps=EPSILON, weight_decay=0.004),
    "rmsprop": lambda p: O.RMSprop(p, RATE, alpha=0.9, eps=EPSILON),
    "adagrad": lambda p: O.Adagrad(p, RATE, initial_accumulator_value=0.1, eps=EPSILON),
    "adadelta": lambda p: O.Adadelta(p, RATE, rho=0.95, eps=EPSILON),
    "adamax": lambda p: O.Adamax(p, RATE, eps=EPSILON),
    "nadam": lambda p: Nadam(p, RATE, EPSILON),
    "lion": lambda p: Lion(p, RATE, (0.9, 0.99)),
}

# Five epochs of ten steps. The last step has the last rate, as the documentation says; the rise of
# one-cycle ends at 0.3 of the way from the first step to the last.
LAST = STEPS - 1
SCHEDULES = {
    "constant": ({}, lambda o: S.ConstantLR(o, factor=1)),
    "cosine": ({}, lambda o: S.CosineAnnealingLR(o, T_max=LAST)),
    "one-cycle": ({}, lambda o: S.OneCycleLR(o, RATE, total_steps=STEPS, pct_start=(0.3 * LAST + 1) / STEPS,
                                             div_factor=25, final_div_factor=400, cycle_momentum=False)),
    "step": ({"decay_rate": 0.5, "decay_epochs": 2}, lambda o: S.StepLR(o, 2 * EPOCH, 0.5)),
    "exponential": ({"decay_rate": 0.5, "decay_epochs": 2},
                    lambda o: S.ExponentialLR(o, 0.5 ** (1 / (2 * EPOCH)))),
    "polynomial": ({"power": 2, "end_rate": 0}, lambda o: S.PolynomialLR(o, LAST, 2)),
    "cosine warm-up": ({"warmup_epochs": 1}, lambda o: S.SequentialLR(
        o, [S.LinearLR(o, 1 / (EPOCH + 1), 1, EPOCH), S.CosineAnnealingLR(o, T_max=LAST - EPOCH)], [EPOCH])),
}

P = [[0.7, 0.2, 0.1], [0.05, 0.9, 0.05], [0.4, 0.35, 0.25]]
LABELS = [0, 2, 1]


def focal(p, t):
    return (0.25 * (1 - p) ** 2 * -t * torch.log(p)).sum()


def binary_focal(p, t):
    right = t * p + (1 - t) * (1 - p)
    return ((1 - right) ** 2 * F.binary_cross_entropy(p, t, reduction="none")).mean()


LOSSES = {
    "mean_squared_error": F.mse_loss,
    "categorical_crossentropy": lambda p, t: F.nll_loss(torch.log(p)[None], t.argmax()[None]),
    "binary_crossentropy": F.binary_cross_entropy,
    "categorical_focal_crossentropy": focal,
    "binary_focal_crossentropy": binary_focal,
    "mean_absolute_error": F.l1_loss,
    "huber": F.huber_loss,
    "log_cosh": lambda p, t: torch.log(torch.cosh(p - t)).mean(),
    "hinge": lambda p, t: torch.clamp(1 - (2 * t - 1) * p, min=0).mean(),
    "squared_hinge": lambda p, t: (torch.clamp(1 - (2 * t - 1) * p, min=0) ** 2).mean(),
    "kl_divergence": lambda p, t: F.kl_div(torch.log(p), torch.clamp(t, 1e-7, 1), reduction="sum"),
    "poisson": lambda p, t: F.poisson_nll_loss(p, t, log_input=False, eps=1e-7),
}


def losses(function):
    rows = []
    for row, label in zip(P, LABELS):
        p = torch.tensor(row, requires_grad=True)
        value = function(p, F.one_hot(torch.tensor(label), len(row)).double())
        (slope,) = torch.autograd.grad(value, p)
        rows.append({"value": float(value), "slope": slope.tolist()})
    return rows


# ---- Small trainings ----

def picture(sample):
    return [(37 * i + 101 * sample + 5 * (sample * i % 13)) % 256 / 255 for i in range(64)]


def matrix(rows, columns):
    return torch.tensor([[((3 * i + 5 * j) % 7 - 3) / 16 for j in range(columns)] for i in range(rows)])


def training(units, smoothing, l1, l2):
    """Five full batches of SGD through Dense 64 -> 4 with relu and Dense 4 -> units: the loss before each
    update and the validation loss after it. Both have smoothed labels and the penalty of the activities, a
    mean over the samples, as Keras's have."""
    weights = [matrix(64, 4), torch.zeros(4), matrix(4, units), torch.zeros(units)]
    for weight in weights:
        weight.requires_grad_()
    optimizer = torch.optim.SGD(weights, lr=0.5)
    softmax = torch.nn.CrossEntropyLoss(label_smoothing=smoothing)

    def loss(samples):
        hidden = torch.relu(torch.tensor([picture(s) for s in samples]) @ weights[0] + weights[1])
        logits = hidden @ weights[2] + weights[3]
        penalty = (l1 * hidden.abs() + l2 * hidden**2).sum() / len(samples)
        labels = torch.tensor([s % max(units, 2) for s in samples])
        if units > 1:
            return softmax(logits, labels) + penalty
        target = labels.double() * (1 - smoothing) + smoothing / 2
        return F.binary_cross_entropy_with_logits(logits[:, 0], target) + penalty

    losses, validated = [], []
    for _ in range(5):
        optimizer.zero_grad()
        value = loss(range(12))
        value.backward()
        optimizer.step()
        losses.append(float(value))
        validated.append(float(loss(range(12, 20))))
    return {"loss": losses, "val_loss": validated}


def schedules():
    result = {}
    for name, (options, schedule) in SCHEDULES.items():
        paths = {optimizer: run(make, schedule) for optimizer, make in OPTIMIZERS.items()}
        result[name] = {"options": options, "rates": paths["sgd"][0],
                        "optimizers": {optimizer: path for optimizer, (_, path) in paths.items()}}
    return result


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else HERE
    result = {
        "schedules": schedules(),
        "trainings": {"softmax smoothed": training(3, 0.1, 0, 0), "sigmoid smoothed": training(1, 0.2, 0, 0),
                      "activity": training(3, 0, 0.01, 0.02)},
        "losses": {name: losses(function) for name, function in LOSSES.items()},
    }
    with open(os.path.join(folder, "golden-training.json"), "w", encoding="utf-8") as file:
        text = json.dumps(result, indent=1)
        file.write(re.sub(r"\[[^][{}]*\]", lambda row: re.sub(r"\s+", " ", row[0]), text) + "\n")


if __name__ == "__main__":
    main()
