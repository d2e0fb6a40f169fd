"""The networks that are measured, in plain torch.nn: what our configurations describe, as far as the cases need it."""

import math

import torch
from torch import nn
from torch.nn import functional as F


def norm(channels, eps=1e-5):
    return nn.GroupNorm(32, channels, eps=eps)


def conv3(channels, out, **options):
    return nn.Conv2d(channels, out, 3, **{"padding": 1, **options})


def split_heads(x, heads):
    """[batch, length, heads * d] -> [batch, heads, length, d]"""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


class ResidualBlock(nn.Module):
    def __init__(self, channels, out, emb, scale_shift):
        super().__init__()
        self.scale_shift = scale_shift
        self.norm1, self.conv1 = norm(channels), conv3(channels, out)
        self.emb = nn.Linear(emb, 2 * out if scale_shift else out)
        self.norm2, self.conv2 = norm(out), conv3(out, out)
        self.skip = nn.Identity() if channels == out else nn.Conv2d(channels, out, 1)

    def forward(self, x, emb):
        h = self.conv1(F.silu(self.norm1(x)))
        e = self.emb(F.silu(emb))[:, :, None, None]
        if self.scale_shift:
            scale, shift = e.chunk(2, dim=1)
            h = self.norm2(h) * (1 + scale) + shift
        else:
            h = self.norm2(h + e)
        return self.skip(x) + self.conv2(F.silu(h))


class AttentionBlock(nn.Module):
    def __init__(self, channels, heads):
        super().__init__()
        self.heads, self.norm = heads, norm(channels)
        self.qkv, self.out = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)

    def forward(self, x, context=None):
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        q, k, v = (split_heads(part, self.heads) for part in self.qkv(tokens).chunk(3, dim=-1))
        h = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return x + self.out(h).transpose(1, 2).reshape(x.shape)


class CrossAttention(nn.Module):
    def __init__(self, width, context, heads, inner):
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, inner, bias=False)
        self.k, self.v = (nn.Linear(context, inner, bias=False) for _ in range(2))
        self.out = nn.Linear(inner, width)

    def forward(self, x, context):
        q, k, v = (split_heads(t, self.heads) for t in (self.q(x), self.k(context), self.v(context)))
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class TransformerBlock(nn.Module):
    def __init__(self, width, context, heads):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.itself = CrossAttention(width, width, heads, width)
        self.cross = CrossAttention(width, context, heads, width)
        self.wide, self.narrow = nn.Linear(width, 8 * width), nn.Linear(4 * width, width)

    def forward(self, x, context):
        h = self.norms[0](x)
        x = x + self.itself(h, h)
        x = x + self.cross(self.norms[1](x), context)
        h, gate = self.wide(self.norms[2](x)).chunk(2, dim=-1)
        return x + self.narrow(h * F.gelu(gate))


class SpatialTransformer(nn.Module):
    def __init__(self, channels, context, heads, depth, linear):
        super().__init__()
        self.norm = norm(channels, 1e-6)
        project = (lambda: nn.Linear(channels, channels)) if linear else (lambda: nn.Conv2d(channels, channels, 1))
        self.linear, self.first, self.last = linear, project(), project()
        self.blocks = nn.ModuleList(TransformerBlock(channels, context, heads) for _ in range(depth))

    def forward(self, x, context):
        tokens = lambda t: t.flatten(2).transpose(1, 2)
        places = lambda t: t.transpose(1, 2).reshape(x.shape)
        h = self.norm(x)
        h = self.first(tokens(h)) if self.linear else tokens(self.first(h))
        for block in self.blocks:
            h = block(h, context)
        return x + (places(self.last(h)) if self.linear else self.last(places(h)))


class Upsample(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = conv3(channels, channels)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


class UNet(nn.Module):
    """CompVis' UNetModel, its options as far as the cases use them."""

    def __init__(self, config):
        super().__init__()
        base, mults = config["model_channels"], config["channel_mult"]
        self.base, emb, context = base, 4 * base, config.get("context_dim")
        self.time = nn.Sequential(nn.Linear(base, emb), nn.SiLU(), nn.Linear(emb, emb))
        self.pooled = nn.Linear(context, emb) if config.get("pooled_context") else None

        def block(channels, out, level, i):
            layers = [ResidualBlock(channels, out, emb, config.get("use_scale_shift_norm", False))]
            most = (config.get("num_attention_blocks") or [math.inf] * len(mults))[level]
            if i < most and 2**level in config["attention_resolutions"]:
                layers.append(attention(out))
            return layers

        def attention(channels):
            width = config.get("num_head_channels", -1)
            heads = config["num_heads"] if width == -1 else channels // width
            if not config.get("use_spatial_transformer"):
                return AttentionBlock(channels, heads)
            depth, linear = config.get("transformer_depth", 1), config.get("use_linear_in_transformer", False)
            return SpatialTransformer(channels, context, heads, depth, linear)

        channels, widths = base, [base]
        self.down = nn.ModuleList([nn.ModuleList([conv3(config["in_channels"], base)])])
        for level, mult in enumerate(mults):
            for i in range(config["num_res_blocks"]):
                self.down.append(nn.ModuleList(block(channels, mult * base, level, i)))
                channels = mult * base
                widths.append(channels)
            if level < len(mults) - 1:
                self.down.append(nn.ModuleList([conv3(channels, channels, stride=2)]))
                widths.append(channels)
        self.middle = nn.ModuleList([block(channels, channels, 0, math.inf)[0], attention(channels), block(channels, channels, 0, math.inf)[0]])
        self.up = nn.ModuleList()
        for level, mult in reversed(list(enumerate(mults))):
            for i in range(config["num_res_blocks"] + 1):
                layers = block(channels + widths.pop(), mult * base, level, i)
                channels = mult * base
                if level > 0 and i == config["num_res_blocks"]:
                    layers.append(Upsample(channels))
                self.up.append(nn.ModuleList(layers))
        self.last = nn.Sequential(norm(channels), nn.SiLU(), conv3(channels, config["out_channels"]))

    def forward(self, x, t, context=None):
        frequencies = torch.exp(-math.log(10000) / (self.base // 2) * torch.arange(self.base // 2))
        phases = t[:, None].float() * frequencies
        emb = self.time(torch.cat([phases.cos(), phases.sin()], dim=1))
        if self.pooled is not None:
            emb = emb + self.pooled(context.mean(dim=1))

        def run(layers, h):
            for layer in layers:
                if isinstance(layer, ResidualBlock):
                    h = layer(h, emb)
                elif isinstance(layer, (AttentionBlock, SpatialTransformer)):
                    h = layer(h, context)
                else:
                    h = layer(h)
            return h

        h, skips = x, []
        for layers in self.down:
            h = run(layers, h)
            skips.append(h)
        h = run(self.middle, h)
        for layers in self.up:
            h = run(layers, torch.cat([h, skips.pop()], dim=1))
        return self.last(h)


class TextEncoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        width, inner = config["n_embed"], config["heads"] * config["dim_head"]
        self.tokens, self.places = nn.Embedding(config["vocab_size"], width), nn.Embedding(config["max_seq_len"], width)
        self.layers = nn.ModuleList()
        for _ in range(config["n_layer"]):
            forward = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
            self.layers.append(nn.ModuleList([nn.LayerNorm(width), CrossAttention(width, width, config["heads"], inner), forward]))
        self.norm = nn.LayerNorm(width)

    def forward(self, ids):
        h = self.tokens(ids) + self.places.weight[: ids.shape[1]]
        for normal, attention, forward in self.layers:
            n = normal(h)
            h = h + attention(n, n)
            h = h + forward(h)
        return self.norm(h)


class ResnetBlock(nn.Module):
    """The autoencoder's residual block, without a time."""

    def __init__(self, channels, out):
        super().__init__()
        self.norm1, self.conv1 = norm(channels, 1e-6), conv3(channels, out)
        self.norm2, self.conv2 = norm(out, 1e-6), conv3(out, out)
        self.skip = nn.Identity() if channels == out else nn.Conv2d(channels, out, 1)

    def forward(self, x):
        h = self.conv1(F.silu(self.norm1(x)))
        return self.skip(x) + self.conv2(F.silu(self.norm2(h)))


class Downsample(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = conv3(channels, channels, stride=2, padding=0)

    def forward(self, x):
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class PositionAttention(nn.Module):
    """The autoencoder's attention: one head over all channels, projected by 1x1 convolutions."""

    def __init__(self, channels):
        super().__init__()
        self.norm = norm(channels, 1e-6)
        self.qkv, self.out = nn.Conv2d(channels, 3 * channels, 1), nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        q, k, v = (t.flatten(2).transpose(1, 2)[:, None] for t in self.qkv(self.norm(x)).chunk(3, dim=1))
        h = F.scaled_dot_product_attention(q, k, v)[:, 0]
        return x + self.out(h.transpose(1, 2).reshape(x.shape))


def middle(dd, channels):
    if dd["attn_resolutions"] or dd["attn_type"] not in ("none", "vanilla"):
        raise ValueError("the peer has attention in the middle of the autoencoder alone, and plain")
    attention = [PositionAttention(channels)] if dd["attn_type"] == "vanilla" else []
    return [ResnetBlock(channels, channels), *attention, ResnetBlock(channels, channels)]


class Encoder(nn.Sequential):
    """Images to mean and log variance, or to latents that are quantised."""

    def __init__(self, config):
        dd = config["ddconfig"]
        channels, layers = dd["ch"], [conv3(dd["in_channels"], dd["ch"])]
        for level, mult in enumerate(dd["ch_mult"]):
            for _ in range(dd["num_res_blocks"]):
                layers.append(ResnetBlock(channels, mult * dd["ch"]))
                channels = mult * dd["ch"]
            if level < len(dd["ch_mult"]) - 1:
                layers.append(Downsample(channels))
        layers += middle(dd, channels)
        parts = 2 if dd["double_z"] else 1
        layers += [norm(channels, 1e-6), nn.SiLU(), conv3(channels, parts * dd["z_channels"])]
        super().__init__(*layers, nn.Conv2d(parts * dd["z_channels"], parts * config["embed_dim"], 1))


class Decoder(nn.Sequential):
    """Latents to images."""

    def __init__(self, config):
        dd = config["ddconfig"]
        channels = dd["ch"] * dd["ch_mult"][-1]
        layers = [nn.Conv2d(config["embed_dim"], dd["z_channels"], 1), conv3(dd["z_channels"], channels)]
        layers += middle(dd, channels)
        for level, mult in reversed(list(enumerate(dd["ch_mult"]))):
            for _ in range(dd["num_res_blocks"] + 1):
                layers.append(ResnetBlock(channels, mult * dd["ch"]))
                channels = mult * dd["ch"]
            if level > 0:
                layers.append(Upsample(channels))
        super().__init__(*layers, norm(channels, 1e-6), nn.SiLU(), conv3(channels, dd["out_ch"]))


class Quantizer(nn.Module):
    """The nearest codes, with gradients passed straight through, and the codebook's loss."""

    def __init__(self, config):
        super().__init__()
        self.codes = nn.Embedding(config["n_embed"], config["embed_dim"])
        self.beta = config["beta"]

    def forward(self, z):
        z = z.permute(0, 2, 3, 1)
        rows, codes = z.reshape(-1, z.shape[-1]), self.codes.weight
        distances = rows.square().sum(dim=1, keepdim=True) + codes.square().sum(dim=1) - 2 * rows @ codes.t()
        quantized = self.codes(distances.argmin(dim=1)).view(z.shape)
        loss = F.mse_loss(quantized.detach(), z) * self.beta + F.mse_loss(quantized, z.detach())
        return (z + (quantized - z).detach()).permute(0, 3, 1, 2), loss


class Discriminator(nn.Sequential):
    """Logits of patches."""

    def __init__(self, channels, width, layers):
        parts, before = [nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2, True)], width
        for n in range(1, layers + 1):
            out = width * min(2**n, 8)
            conv = nn.Conv2d(before, out, 4, stride=2 if n < layers else 1, padding=1, bias=False)
            parts += [conv, nn.BatchNorm2d(out), nn.LeakyReLU(0.2, True)]
            before = out
        super().__init__(*parts, nn.Conv2d(before, 1, 4, padding=1))


class Fire(nn.Module):
    def __init__(self, channels, squeezed, expanded):
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.small, self.large = nn.Conv2d(squeezed, expanded, 1), conv3(squeezed, expanded)

    def forward(self, x):
        h = F.relu(self.squeeze(x))
        return F.relu(torch.cat([self.small(h), self.large(h)], dim=1))


class SqueezeNet(nn.Module):
    """SqueezeNet 1.1's features at 1/2, 1/4, 1/8 and 1/16 of the size, of unit length at each position."""

    def __init__(self):
        super().__init__()
        pool = lambda: nn.MaxPool2d(3, 2, ceil_mode=True)
        self.parts = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(3, 64, 3, stride=2), nn.ReLU()),
                nn.Sequential(pool(), Fire(64, 16, 64), Fire(128, 16, 64)),
                nn.Sequential(pool(), Fire(128, 32, 128), Fire(256, 32, 128)),
                nn.Sequential(pool(), Fire(256, 48, 192), Fire(384, 48, 192)),
            ]
        )

    def forward(self, images):
        mean, deviation = torch.tensor([[-0.03, -0.088, -0.188], [0.458, 0.448, 0.45]])[:, None, :, None, None]
        h, features = (images - mean) / deviation, []
        for part in self.parts:
            h = part(h)
            features.append(h / (h.square().sum(dim=1, keepdim=True) + 1e-10).sqrt())
        return features
