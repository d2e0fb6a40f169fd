import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { tinyWeights } from '../../testing/checkpoint.js'
import { testDevice } from '../../testing/device.js'
import { published } from '../../testing/published.js'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import { all, losses } from '../../testing/train-events.js'
import { openAdapter } from '../../weights/adapters/index.js'
import { encodeTorchFile } from '../../weights/torch/write.js'
import { checkpointAt } from '../learner.js'
import { loraRecipe, trainLora } from './index.js'

const scenes = fileURLToPath(new URL('../../../fixtures/data/scenes/scenes.parquet', import.meta.url))

const folder = await temporaryFolder()
const device = await testDevice()

const recipe = loraRecipe.parse({
  data: { parquet: scenes, size: 64 },
  condition_dropout: 0,
  lora: { rank: 2, text_encoder: true },
  samples: { prompts: ['a hat'], steps: 1 },
  training: {
    ...{ steps: 1, batch: 1, learning_rate: 1e-3 },
    ...{ evaluate_every: 9, sample_every: 9, checkpoint_every: 9 },
  },
})

test('a LoRA of a half-precision .ckpt of Stable Diffusion 2, its fused OpenCLIP too, learns from a Parquet file', async () => {
  const { tiny } = published.find(known => known.family === 'sd2')!
  const file = join(folder, 'sd2.ckpt')
  await writeFile(file, encodeTorchFile({ state_dict: Object.fromEntries(tinyWeights(tiny, 'F16')) }))
  const base = await checkpointAt(file)
  const path = join(folder, 'lora.safetensors')
  const run = await all(trainLora({ device, base, recipe, path, latentFolder: join(folder, 'latents') }))
  assert.equal(losses(run).length, 1)
  assert.ok(losses(run).every(Number.isFinite))
  await base.close()
  const adapter = await openAdapter(path.replace('.safe', '.kohya.safe'))
  for (const name of ['q_proj', 'k_proj', 'v_proj', 'out_proj'])
    assert.ok(adapter.modules.has(`lora_te_text_model_encoder_layers_0_self_attn_${name}`), name)
  assert.ok([...adapter.modules.keys()].some(name => name.startsWith('lora_unet_')))
  await adapter.close()
})
