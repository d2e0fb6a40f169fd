import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { type Asked, openReaders } from '../../../conditioning/index.js'
import { torchGenerator } from '../../../random/index.js'
import { openDevice } from '../../../runtime/index.js'
import { tinyConfig } from '../../../testing/tiny-model.js'
import { vocabularyText } from '../../../text/index.js'
import { readSafetensors } from '../../../weights/safetensors.js'
import { modelConfig } from '../../model-config.js'
import { conditionProgram } from '../../programs.js'
import { type Variant, variantOf } from '../parts.js'
import type { Stage } from '../stage.js'
import { tell } from './told.js'

const fixture = (path: string) => readFile(new URL(`../../../../fixtures/${path}`, import.meta.url))
const text = (path: string) => fixture(`conformance/text/${path}`)

test("contexts come out as the tools' procedures make them in torch", async () => {
  const { cases } = JSON.parse((await fixture('prompts/contexts.json')).toString())
  assert.ok(cases.length >= 7)
  const all = await vocabularyText(await text('clip_vocabulary/bpe_simple_vocab_16e6.txt.gz'), 'vocabulary')
  const merges = all.split('\n').slice(0, 87).join('\n')
  const {
    bos_token_id: _,
    pad_token_id: __,
    ...tower
  } = JSON.parse((await text('clip_text_quick_gelu/case.json')).toString()).config.text_config
  delete tower.projection_dim
  const { unet_config, ...rest } = tinyConfig()
  const conditioning = { clip_text: tower }
  const config = modelConfig.parse({ ...rest, unet_config: { ...unet_config, context_dim: 32 }, conditioning })
  const { tensors } = readSafetensors(await text('clip_text_quick_gelu/weights.safetensors'))
  const weights = new Map([...tensors].map(([name, tensor]) => [`cond_stage_model.transformer.${name}`, tensor]))
  const readers = openReaders(config.conditioning, { vocabulary: JSON.stringify({ kind: 'clip', merges }) })
  await using device = await openDevice('cpu', { threads: 1 })
  const compile = (variant: Variant) => device.compile(conditionProgram(config, variant)!, { weights })
  const compiled = new Map<number, ReturnType<typeof compile>>()

  for (const { prompt, call, clipSkip, weights: wanted, shape, samples, norm, ...more } of cases) {
    const request = { prompt, clipSkip, ...more }
    const asked: Asked = readers.ofRequest(request, { width: 16, height: 16, latents: [4, 8, 8] }, torchGenerator(0))
    const { positive, negative } = asked.spoken!
    const counts = [...positive, negative].map(({ stages }) => stages[0]!.chunks.length)
    const longest = Math.max(...counts.slice(0, -1))
    const plan = { width: 16, height: 16, guidance: 7, request }
    const variant = variantOf({ config }, plan as never, [longest, counts.at(-1)!])
    const run = compiled.get(clipSkip) ?? compile(variant)
    compiled.set(clipSkip, run)
    const stage = { plan, model: { config }, parts: { variant, get: () => run } } as unknown as Stage
    const told = (await tell(stage, [asked]))(call)
    const { context } = told.inputs
    const data = context!.data as Float32Array
    assert.deepEqual([context!.shape, told.weights], [shape, wanted], prompt)
    for (const [i, sample] of samples.entries()) {
      const found = data[Math.floor((i * data.length) / samples.length)]!
      // Means that are restored are near 0, where float32 leaves few places.
      assert.ok(Math.abs(found - sample) < 2e-4, `${prompt}: sample ${i} is ${found}, wanted ${sample}`)
    }
    assert.ok(Math.abs(Math.hypot(...data) - norm) < 1e-2, prompt)
  }
})
