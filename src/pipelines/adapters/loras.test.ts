import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tinyWeights } from '../../testing/checkpoint.js'
import { published } from '../../testing/published.js'
import { fromFloat32, toFloat32 } from '../../weights/dtypes.js'
import { encodeSafetensors } from '../../weights/safetensors.js'
import { checkpointModel } from '../loading/checkpoint-model.js'
import { openModelFile } from '../loading/model-file.js'
import { adaptModel, type Lora } from './adapted-model.js'

const sd1 = tinyWeights(published.find(({ family }) => family === 'sd1')!.tiny)
const text = 'cond_stage_model.transformer.text_model.encoder.layers.0.self_attn.q_proj.weight'
const [inner, deep] = ['input_blocks.1', 'middle_block'].map(
  block => `model.diffusion_model.${block}.1.transformer_blocks.0.attn1.to_q.weight`,
) as [string, string]
/** Adds 1 to each number of three weights. */
const ones = encodeSafetensors(
  new Map(
    [text, inner, deep].map(name => {
      const { shape } = sd1.get(name)!
      const data = new Float32Array(shape.reduce((a, b) => a * b)).fill(1)
      return [name.replace(/weight$/, 'diff'), fromFloat32(data, shape)]
    }),
  ),
)

async function added(lora: Omit<Lora, 'file'>) {
  const model = await adaptModel(checkpointModel(await openModelFile(encodeSafetensors(sd1))), {
    loras: [{ file: ones, ...lora }],
  })
  const changes = await Promise.all(
    [text, inner, deep].map(async name => {
      const [before, after] = [toFloat32(sd1.get(name)!), toFloat32(await model.weights.read(name))]
      return Number((after[3]! - before[3]!).toFixed(5))
    }),
  )
  await model.checkpoint.close()
  return { changes, said: model.added?.Lora }
}

test('text encoders and blocks get their own weight of a LoRA, and pictures say so', async () => {
  // Of the tiny model's levels, with one block each, three have attention: 3 on the way in, 6 on the way out.
  const blocks = [0.5, 0.1, 0, 0, 2, 0, 0, 0, 0, 0, 0]
  for (const [lora, changes, said] of [
    [{}, [1, 1, 1], '1'],
    [{ weight: 0.5 }, [0.5, 0.5, 0.5], '0.5'],
    [{ weight: 0.5, textWeight: -1 }, [-1, 0.5, 0.5], '0.5,text=-1'],
    [{ textWeight: 2, blocks }, [1, 0.1, 2], `1,text=2,blocks=${blocks.join('/')}`],
  ] as const)
    assert.deepEqual(await added(lora), { changes, said: `bytes in memory:${said}` })
  await assert.rejects(added({ blocks: [1, 2] }), /is given weights for 2 blocks; this model takes 11 .* or 18/)
})
