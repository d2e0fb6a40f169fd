"""The peer's side of one case, in the protocol of ../child.js: PyTorch on the processor, eager, two threads."""

import json
import sys
import time

import torch

from networks import (
    AttentionBlock,
    Decoder,
    Discriminator,
    Encoder,
    Quantizer,
    ResidualBlock,
    SqueezeNet,
    TextEncoder,
    UNet,
)
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(2)


def peak_megabytes():
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    except OSError:
        return float("nan")


class Trainer:
    """What our trainers do with the gradients: clipping, AdamW, a running average."""

    def __init__(self, networks, settings):
        self.parameters = [p for network in networks for p in network.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(self.parameters, lr=1e-5, fused=True, weight_decay=settings["weight_decay"])
        self.average = [p.detach().clone() for p in self.parameters] if "ema" in settings else []
        self.settings = settings

    def step(self, loss):
        self.optimiser.zero_grad()
        loss.backward()
        if "clip" in self.settings:
            nn.utils.clip_grad_norm_(self.parameters, self.settings["clip"])
        self.optimiser.step()
        if "ema" in self.settings:
            with torch.no_grad():
                torch._foreach_lerp_(self.average, self.parameters, 1 - self.settings["ema"]["decay"])
        return loss.item()


def blocks(spec):
    batch, channels, size = spec["batch"], spec["channels"], spec["size"]

    class Blocks(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(4, channels, 3, padding=1)
            self.blocks = nn.ModuleList(ResidualBlock(channels, channels, 4 * channels, False) for _ in range(3))
            attend = (lambda: AttentionBlock(channels, spec["heads"])) if spec["attention"] else nn.Identity
            self.attention = nn.ModuleList(attend() for _ in range(3))
            self.last = nn.Conv2d(channels, 4, 3, padding=1)

        def forward(self, x, emb):
            h = self.first(x)
            for block, attention in zip(self.blocks, self.attention):
                h = attention(block(h, emb))
            return self.last(h)

    network = Blocks()
    trainer = Trainer([network], spec["training"])
    x, target = torch.randn(2, batch, 4, size, size)
    emb = torch.randn(batch, 4 * channels)
    return lambda: trainer.step(F.mse_loss(network(x, emb), target))


def diffusion(spec):
    model, batch, size = spec["model"], spec["batch"], spec["size"]
    unet = UNet(model["unet_config"])
    conditions = model.get("conditioning", {})
    text = TextEncoder(conditions["text"]) if "text" in conditions else None
    trainer = Trainer([unet, *([text] if text else [])], spec["training"])
    x0, noise = torch.randn(2, batch, 4, size, size)
    t = torch.arange(batch) * 37 % 1000
    alpha, sigma = torch.rand(2, batch, 1, 1, 1)
    weights = torch.rand(batch)
    length = conditions["text"]["max_seq_len"] if text else 0
    tokens = torch.arange(batch * length).reshape(batch, length) * 37 % 1000

    def step():
        output = unet(alpha * x0 + sigma * noise, t, text(tokens) if text else None)
        target = alpha * noise - sigma * x0
        errors = F.mse_loss(output, target, reduction="none").mean(dim=[1, 2, 3])
        return trainer.step((weights * errors).mean())

    return step


def autoencoder(spec):
    recipe, batch, size = spec["recipe"], spec["batch"], spec["size"]
    config, loss = recipe["first_stage_config"], recipe["loss"]
    encoder, decoder = Encoder(config), Decoder(config)
    squeezenet = SqueezeNet().requires_grad_(False)
    trainer = Trainer([encoder, decoder], spec["training"])
    images = torch.rand(batch, 3, size, size) * 2 - 1

    def step():
        mean, logvar = encoder(images).chunk(2, dim=1)
        logvar = logvar.clamp(-30, 20)
        reconstructions = decoder(mean + (0.5 * logvar).exp() * torch.randn_like(mean))
        l1 = (images - reconstructions).abs().mean()
        kl = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean()
        with torch.no_grad():
            wanted = squeezenet(images)
        features = squeezenet(reconstructions)
        distance = sum((a - b).square().sum(dim=1).mean(dim=[1, 2]) for a, b in zip(features, wanted)).mean()
        return trainer.step(l1 + loss["kl_weight"] * kl + loss["perceptual_weight"] * distance)

    return step


def adversarial(spec):
    recipe, batch, size = spec["recipe"], spec["batch"], spec["size"]
    config, loss = recipe["first_stage_config"], recipe["loss"]
    encoder, quantizer, decoder = Encoder(config), Quantizer(config), Decoder(config)
    judge = Discriminator(3, loss["disc_ndf"], loss["disc_num_layers"])
    squeezenet = SqueezeNet().requires_grad_(False)
    generator = nn.ModuleList([encoder, quantizer, decoder])
    trainers = [Trainer([network], spec["training"]) for network in (generator, judge)]
    images = torch.rand(batch, 3, size, size) * 2 - 1
    last = decoder[-1].weight

    def size_at_last(of):
        return torch.autograd.grad(of, last, retain_graph=True)[0].norm()

    def step():
        judge.requires_grad_(False)
        quantized, codebook = quantizer(encoder(images))
        reconstructions = decoder(quantized)
        with torch.no_grad():
            wanted = squeezenet(images)
        features = squeezenet(reconstructions)
        distance = sum((a - b).square().sum(dim=1).mean(dim=[1, 2]) for a, b in zip(features, wanted)).mean()
        nll = (images - reconstructions).abs().mean() + loss["perceptual_weight"] * distance
        adversarial = -judge(reconstructions).mean()
        weight = (size_at_last(nll) / (size_at_last(adversarial) + 1e-4)).clamp(0, 1e4).detach() * loss["disc_weight"]
        trainers[0].step(nll + weight * adversarial + loss["codebook_weight"] * codebook)
        judge.requires_grad_(True)
        with torch.no_grad():
            reconstructions = decoder(quantizer(encoder(images))[0])
        return trainers[1].step(0.5 * (F.relu(1 - judge(images)).mean() + F.relu(1 + judge(reconstructions)).mean()))

    return step


def without_gradients(network, *inputs):
    @torch.inference_mode()
    def step():
        network(*inputs)

    return step


def scattered(make):
    """A network with random weights, made at once without each layer's own start."""
    with torch.device("meta"):
        network = make()
    network.to_empty(device="cpu").eval()
    with torch.no_grad():
        for p in network.parameters():
            p.uniform_(-1, 1).mul_(p[0].numel() ** -0.5 if p.ndim > 1 else 1)
    return network


def unet(spec):
    config, batch, size = spec["config"], spec["batch"], spec["size"]
    width = config.get("context_dim")
    context = torch.randn(batch, spec["tokens"], width) if width else None
    x = torch.randn(batch, config["in_channels"], size, size)
    return without_gradients(scattered(lambda: UNet(config)), x, torch.arange(batch) * 37, context)


def decoder(spec):
    z = torch.randn(spec["batch"], spec["config"]["embed_dim"], spec["size"], spec["size"])
    return without_gradients(scattered(lambda: Decoder(spec["config"])), z)


kinds = {f.__name__: f for f in [blocks, diffusion, autoencoder, adversarial, unet, decoder]}


def main():
    spec = json.loads(sys.stdin.readline())
    step = kinds[spec["kind"]](spec)
    now = time.perf_counter if spec["clock"] == "wall" else time.process_time
    print(0, flush=True)
    for line in sys.stdin:
        if line.strip() == "end":
            print(peak_megabytes(), flush=True)
            return
        begin = now()
        step()
        print((now() - begin) * 1e3, flush=True)


main()
