import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { testDevice } from '../../testing/device.js'
import { published, tinyWeights } from '../../testing/published.js'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import { all, losses } from '../../testing/train-events.js'
import { openAdapter } from '../../weights/adapters/index.js'
import { encodeTorchFile } from '../../weights/torch-write.js'
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

for (const [family, prefix] of [['sd1', 'lora_te_text_model_encoder_layers_0_self_attn_q_proj']] as const) {
  test(`a LoRA of a half-precision .ckpt of ${family} learns from a Parquet file, under the names of other tools`, async () => {
    const { tiny } = published.find(known => known.family === family)!
    const file = join(folder, `${family}.ckpt`)
    await writeFile(file, encodeTorchFile({ state_dict: Object.fromEntries(tinyWeights(tiny, 'F16')) }))
    const base = await checkpointAt(file)
    const path = join(folder, `${family}.safetensors`)
    const run = await all(trainLora({ device, base, recipe, path, latentFolder: join(folder, 'latents') }))
    assert.equal(losses(run).length, 1)
    assert.ok(losses(run).every(Number.isFinite))
    await base.close()
    const adapter = await openAdapter(path.replace('.safe', '.kohya.safe'))
    assert.ok(adapter.modules.has(prefix))
    assert.ok([...adapter.modules.keys()].some(name => name.startsWith('lora_unet_')))
    await adapter.close()
  })
}
