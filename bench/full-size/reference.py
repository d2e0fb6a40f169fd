"""What CompVis' own UNetModel makes of the checkpoint and inputs that reference.js names: output.f32 beside the inputs.

python reference.py CHECKPOINT FOLDER, with CompVis/latent-diffusion and einops on PYTHONPATH.
"""

import json
import sys
import types
from pathlib import Path



def stand_in(name, *members):
    """For what the original imports for drawing captions and reading configurations, and does not need here."""
    module = types.ModuleType(name)
    for member in members:
        setattr(module, member, type(member, (), {}))
    sys.modules.setdefault(name, module)


stand_in("PIL", "Image", "ImageDraw", "ImageFont")
stand_in("omegaconf")
stand_in("omegaconf.listconfig", "ListConfig")

try:
    import numpy
    import torch
    from ldm.modules.diffusionmodules.openaimodel import UNetModel
except ImportError as missing:
    sys.exit(f"not compared: {missing}; put CompVis/latent-diffusion and einops on PYTHONPATH, name a PYTHON with torch")

checkpoint, folder = sys.argv[1], Path(sys.argv[2])
prefix = "model.diffusion_model."


def weights():
    with open(checkpoint, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    data = numpy.memmap(checkpoint, mode="r", offset=8 + length)
    for name, entry in header.items():
        if name.startswith(prefix):
            begin, end = entry["data_offsets"]
            values = torch.from_numpy(data[begin:end].view(numpy.float16).astype(numpy.float32))
            yield name.removeprefix(prefix), values.reshape(entry["shape"])


inputs = json.loads((folder / "inputs.json").read_text())
read = lambda name: torch.from_numpy(numpy.fromfile(folder / f"{name}.f32", "<f4")).reshape(inputs[name])
torch.set_num_threads(2)
with torch.device("meta"):
    network = UNetModel(**inputs["config"], use_checkpoint=False)
network.load_state_dict(dict(weights()), strict=True, assign=True)
with torch.inference_mode():
    output = network.eval()(read("x"), read("t"), context=read("context"))
output.numpy().astype("<f4").tofile(folder / "output.f32")
