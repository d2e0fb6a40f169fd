import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gradients } from '../autodiff/gradients.js'
import { evaluate } from '../tensor/evaluate.js'
import { type Program, trace } from '../tensor/program.js'
import { mean } from '../tensor/reduce.js'
import { open } from '../tensor/shape.js'
import { f32, i64, type Spec } from '../tensor/tensor.js'
import { square } from '../tensor/unary.js'
import { drawnParameters } from '../testing/parameters.js'
import { drawing } from '../testing/values.js'
import { type UnetOptions, unetConfig } from './config.js'
import { unet } from './unet.js'

const small: UnetOptions = {
  in_channels: 3,
  out_channels: 3,
  model_channels: 32,
  num_res_blocks: 1,
  attention_resolutions: [2],
  channel_mult: [1, 1],
  num_heads: 2,
}
const withContext: UnetOptions = { ...small, use_spatial_transformer: true, context_dim: 6 }
const specs = { x: f32(2, 3, 4, 4), t: i64(2) }

const traced = (options: UnetOptions, more: Record<string, Spec> = {}, y?: Spec): Program => {
  const config = unetConfig.parse(options)
  const inputs: Record<string, Spec> = { ...specs, ...more, ...(y && { y }) }
  return trace(inputs, (at, given) =>
    unet(at, config, { x: given.x!, t: given.t!, context: given.context, y: given.y }),
  )
}

const names = ({ parameters }: Program): string[] => parameters.map(({ name }) => name)

const inputs = { x: drawing(1).normal(2, 3, 4, 4), t: drawing(2).indices(1000, 2), context: drawing(3).normal(2, 5, 6) }

test('the config fills in the defaults of the original and knows generative-models by its words', () => {
  const config = unetConfig.parse(small)
  assert.deepEqual([config.legacy, config.use_spatial_transformer, config.conv_resample], [true, false, true])
  const sdxl = unetConfig.parse({ ...small, context_dim: 6, spatial_transformer_attn_type: 'softmax' })
  assert.deepEqual([sdxl.legacy, sdxl.use_spatial_transformer], [false, true])
})

test('a wrong config is refused with the word and what would be right', () => {
  const refused = (change: object, message: RegExp) =>
    assert.throws(() => unetConfig.parse({ ...small, ...change }), message)
  refused({ num_heads: -1 }, /num_heads.*num_head_channels/)
  refused({ num_res_blocks: [1, 2, 3] }, /has 3 entries, but channel_mult has 2 levels/)
  refused({ context_dim: 8, use_spatial_transformer: false }, /use_spatial_transformer: true/)
  refused({ num_classes: 'sequential' }, /adm_in_channels|needs the width of y/)
  refused({ model_channels: 48 }, /multiple of 32/)
  refused({ pooled_context: true }, /give context_dim/)
  refused({ modelchannels: 3 }, /modelchannels/)
})

test('a level without transformer blocks has no attention, and the middle its own number of them', () => {
  const options = { ...withContext, attention_resolutions: [1, 2], num_heads: 2 }
  const blocks = (more: object) => {
    const program = traced({ ...options, ...more }, { context: f32(2, 5, 6) })
    const found = names(program).flatMap(name => /^(.+)\.transformer_blocks\.(\d+)\.norm1\.weight$/.exec(name) ?? [])
    return Array.from({ length: found.length / 3 }, (_, i) => `${found[3 * i + 1]}/${found[3 * i + 2]}`)
  }
  assert.deepEqual(blocks({ transformer_depth: [0, 2] }), [
    ...['input_blocks.3.1/0', 'input_blocks.3.1/1', 'middle_block.1/0', 'middle_block.1/1'],
    ...['output_blocks.0.1/0', 'output_blocks.0.1/1', 'output_blocks.1.1/0', 'output_blocks.1.1/1'],
  ])
  assert.deepEqual(
    blocks({ transformer_depth: [0, 1], transformer_depth_middle: 2 }).filter(name => name.startsWith('middle')),
    ['middle_block.1/0', 'middle_block.1/1'],
  )
  assert.ok(
    !names(traced({ ...options, transformer_depth_middle: 0 }, { context: f32(2, 5, 6) })).some(n =>
      n.startsWith('middle_block.1'),
    ),
  )
})

test('latents and conditions that do not fit are refused while tracing', () => {
  const config = unetConfig.parse(withContext)
  const attempt = (shape: number[], context?: Spec) =>
    trace({ x: f32(...shape), t: i64(2), ...(context && { context }) } as Record<string, Spec>, (at, given) =>
      unet(at, config, { x: given.x!, t: given.t!, context: given.context }),
    )
  assert.throws(() => attempt([2, 4, 4, 4]), /wanted \[batch, 3, height, width\]/)
  assert.throws(() => attempt([2, 3, 5, 4]), /multiples of 2/)
  assert.throws(() => attempt([2, 3, 4, 4]), /missing.*width 6 \(context_dim\)/)
  assert.throws(() => attempt([2, 3, 4, 4], f32(2, 5, 7)), /width 6 \(context_dim\)/)
  assert.throws(() => traced({ ...small, num_classes: 10 }), /num_classes is 10, so y must be given/)
  assert.throws(() => traced(small, {}, i64(2)), /y must not be given/)
})

test('num_heads_upsample counts on the way up, in the first release alone', () => {
  const values = (options: UnetOptions) => {
    const program = traced(options)
    return evaluate([program.outputs.output!], { ...inputs, ...drawnParameters(program) })[0]!.data
  }
  assert.notDeepEqual(values({ ...small, num_heads_upsample: 4 }), values(small))
  assert.deepEqual(values({ ...small, num_heads_upsample: 4, legacy: false }), values({ ...small, legacy: false }))
})

test('conditions add their parameters under the names of the original', () => {
  const added = (options: UnetOptions, y: Spec) =>
    names(traced(options, {}, y)).filter(name => name.startsWith('label_emb'))
  assert.deepEqual(added({ ...small, num_classes: 10 }, i64(2)), ['label_emb.weight'])
  assert.deepEqual(added({ ...small, num_classes: 'continuous' }, f32(2, 1)), ['label_emb.weight', 'label_emb.bias'])
  assert.equal(added({ ...small, num_classes: 'timestep' }, f32(2))[0], 'label_emb.1.0.weight')
  assert.equal(added({ ...small, num_classes: 'sequential', adm_in_channels: 7 }, f32(2, 7))[3], 'label_emb.0.2.bias')
  const pooled = names(traced({ ...withContext, pooled_context: true }, { context: f32(2, 5, 6) }))
  assert.ok(pooled.includes('pooled_context.weight'))
  assert.ok(names(traced({ ...small, n_embed: 9 })).includes('id_predictor.1.weight'))
})

test('the batch may stay open, and blocks may be computed again in the backward pass', () => {
  const config = unetConfig.parse(withContext)
  const opened = trace({ x: f32(open, 3, 4, 4), t: i64(open), context: f32(open, 5, 6) }, (at, given) =>
    unet(at, config, given),
  )
  assert.deepEqual(opened.outputs.output!.shape, [open, 3, 4, 4])

  const gradient = (use_checkpoint: boolean) => {
    const config = unetConfig.parse({ ...withContext, use_checkpoint })
    const program = trace({ ...specs, context: f32(2, 5, 6) }, (at, given) => ({
      loss: mean(square(unet(at, config, given))),
    }))
    const { outputs } = gradients(program)
    return evaluate(Object.values(outputs), { ...inputs, ...drawnParameters(program) }).map(({ data }) => data)
  }
  const kept = gradient(false)
  for (const [i, data] of gradient(true).entries()) {
    assert.ok(
      data.every((v, k) => Math.abs(v - kept[i]![k]!) < 1e-12),
      `gradient ${i}`,
    )
  }
})

test('dropout takes its masks where the original drops', () => {
  const config = unetConfig.parse({ ...small, dropout: 0.1 })
  const places: string[] = []
  trace(specs, (at, given) =>
    unet(at, config, {
      ...given,
      dropout: (scope, h) => {
        places.push(scope.path)
        return h
      },
    }),
  )
  assert.equal(places.length, 8)
  assert.equal(places[0], 'input_blocks.1.0.out_layers.2')
})
