import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTensors } from '../pipelines/loading/open-tensors.js'
import { tinyWeights } from '../testing/checkpoint.js'
import { published } from '../testing/published.js'
import { fromFloat32 } from '../weights/dtypes.js'
import { encodeSafetensors } from '../weights/safetensors.js'
import { recognition, recognitionText } from './recognition.js'

const tiny = tinyWeights(published.find(({ family }) => family === 'ldm-class')!.tiny)
const number = fromFloat32(Float32Array.of(1), [1])

const recognised = async (tensors: Parameters<typeof encodeSafetensors>[0], config?: string) =>
  recognition(await openTensors(encodeSafetensors(tensors)), config)

test('inspect tells the family, what is not needed, and what has no place', async () => {
  const found = await recognised(new Map([...tiny, ['model_ema.decay', number], ['strange', number]]))
  assert.deepEqual([found.family, found.title], ['ldm-class', 'latent diffusion by class'])
  assert.deepEqual(found.unplaced, ['strange'])
  const text = recognitionText(found)
  assert.ok(text.includes('family ldm-class'))
  assert.ok(text.includes('without a place: 1 tensors') && text.includes('  strange'))
})

test('inspect tells what is missing, and what a file of no family is', async () => {
  const [name] = [...tiny.keys()].filter(name => name.endsWith('out.2.bias'))
  const { family, problem } = await recognised(new Map([...tiny].filter(([key]) => key !== name)))
  assert.equal(family, 'ldm-class')
  assert.match(problem!, /^cannot load the model: "model\.diffusion_model\.out\.2\.bias" is missing/)
  const other = await recognised(new Map([['control_model.time_embed.0.weight', number]]))
  assert.match(other.problem!, /it looks like a ControlNet/)
  assert.equal(other.family, undefined)
})
