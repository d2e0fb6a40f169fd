"""What diffusers and PEFT make of the files that main.js wrote, against latentkit's own numbers."""
import sys
from pathlib import Path

try:
    import torch
    from diffusers import AutoencoderKL, ControlNetModel, DDIMScheduler, UNet2DConditionModel
    from diffusers.loaders.lora_pipeline import StableDiffusionLoraLoaderMixin
    from safetensors.torch import load_file
except ImportError as missing:
    sys.exit(f"not compared: {missing}; install torch, diffusers, peft and transformers, or name another PYTHON")

folder = Path(sys.argv[1])
numbers = load_file(folder / "numbers.safetensors")
x, t, context, hint, z = (numbers[name] for name in ("x", "t", "context", "hint", "z"))
failed = False


def compare(name, what, theirs):
    global failed
    ours = numbers[f"ours.{name}"]
    difference = float((theirs - ours).norm() / ours.norm())
    failed |= not difference < 1e-5
    print(f"{what:58} relative L2 {difference:.1e}{'' if difference < 1e-5 else '  DIFFERS'}")


def unet():
    return UNet2DConditionModel.from_pretrained(folder / "model" / "unet").eval()


with torch.no_grad():
    compare("unet", "diffusers folder: UNet2DConditionModel", unet()(x, t, context).sample)
    vae = AutoencoderKL.from_pretrained(folder / "model" / "vae").eval()
    compare("vae", "diffusers folder: AutoencoderKL", vae.decode(z / vae.config.scaling_factor).sample)
    DDIMScheduler.from_pretrained(folder / "model" / "scheduler")
    # diffusers leaves the magnitudes of kohya's DoRA files out, so those are not compared.
    for file in ("lora.diffusers", "lora.kohya", "dora.diffusers"):
        network = unet()
        state, alphas = StableDiffusionLoraLoaderMixin.lora_state_dict(
            folder, weight_name=f"{file}.safetensors", unet_config=network.config
        )
        StableDiffusionLoraLoaderMixin.load_lora_into_unet(state, network_alphas=alphas, unet=network)
        compare(file.split(".")[0], f"{file}.safetensors: load_lora_into_unet, by PEFT", network(x, t, context).sample)
    control = ControlNetModel.from_pretrained(folder / "control.diffusers").eval()
    down, middle = control(x, t, context, controlnet_cond=hint, return_dict=False)
    steered = unet()(x, t, context, down_block_additional_residuals=down, mid_block_additional_residual=middle)
    compare("control", "control.diffusers: ControlNetModel", steered.sample)
sys.exit(1 if failed else 0)
