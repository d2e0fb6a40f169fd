import { type HostTensor, type HostTensors, hostTensor } from '../../../runtime/host-tensor.js'
import type { WeightSource } from '../../../runtime/weights/numbers.js'
import type { Program } from '../../../tensor/program.js'
import { sizeOf } from '../../../tensor/shape.js'
import type { Tensor } from '../../../tensor/tensor.js'
import { type UnetConfig, unetConfig } from '../../../unet/config.js'
import { unet } from '../../../unet/unet.js'
import { unetFromDiffusers } from '../../../weights/diffusers/unet-config.js'
import { unetRenames } from '../../../weights/diffusers/unet-names.js'
import type { Case } from '../case.js'
import type { Value } from '../compare.js'
import type { Context, Kind } from '../kind.js'
import { configured, diffusersLayout, fill, inputsOf, runOnce, traced, weightsOf } from './programs.js'

/** Denoising networks: results with whole and fractional times and of another size, and what every block gives. */
export const denoisers: Kind = {
  kind: 'unet',
  recognises: ({ objects, config }) => objects.includes('UNetModel') && typeof config.unet === 'object',
  async run(testCase, context) {
    const config = configured(unetConfig, wordsOf(testCase))
    const weights = await weightsOf(testCase)
    const inputs = await joinedInputs(testCase)
    const files = await fill(testCase, await compute(context, config, weights, inputs))

    const layout = await diffusersLayout(testCase)
    if (layout === undefined) return { files }
    const { words, label } = unetFromDiffusers(layout.config, layout.file)
    const same = configured(unetConfig, words)
    const again = layout.weights === undefined ? weights : await layout.weights(unetRenames(same, label).toCompvis)
    return { files, layouts: [await fill(testCase, await compute(context, same, again, inputs))] }
  },
}

/** generative-models knows no other blocks than transformers, and so has no words for them. */
function wordsOf({ source, config }: Case): object {
  const generativeModels = source.some(({ repository }) => String(repository).endsWith('/generative-models'))
  return { ...(generativeModels && { use_spatial_transformer: true, legacy: false }), ...(config.unet as object) }
}

/** The inputs, with what is concatenated to x in its place. */
async function joinedInputs(testCase: Case): Promise<Record<string, HostTensor>> {
  const inputs = await inputsOf(testCase)
  for (const [x, concatenated] of [
    ['x', 'c_concat'],
    ['x_other_size', 'c_concat_other_size'],
  ] as const) {
    const { [x]: first, [concatenated]: second } = inputs
    if (first && second) inputs[x] = joinChannels(first, second)
    delete inputs[concatenated]
  }
  return inputs
}

function joinChannels(a: HostTensor, b: HostTensor): HostTensor {
  const [batch, , ...size] = a.shape as [number, number, ...number[]]
  const parts = [a, b].map(t => ({ data: t.data as Float32Array, each: sizeOf(t.shape) / batch }))
  const rows = Array.from({ length: batch }, (_, i) =>
    parts.flatMap(({ data, each }) => Array.from(data.subarray(i * each, (i + 1) * each))),
  )
  return hostTensor(rows.flat(), [batch, a.shape[1]! + b.shape[1]!, ...size])
}

async function compute(
  context: Context,
  config: UnetConfig,
  weights: WeightSource,
  inputs: HostTensors,
): Promise<Map<string, Value>> {
  const results = await runOnce(context, withProbes(program(config, inputs)), weights, inputs)
  return new Map(
    Object.entries(results).map(([name, { shape, data }]) =>
      name.startsWith(PROBE)
        ? [name.slice(PROBE.length), { shape: [Math.min(24, data.length)], data: data.slice(0, 24) }]
        : [name, { shape, data }],
    ),
  )
}

/** One program for all results; the call for `out` comes last, so that its marks are the ones that stay. */
function program(config: UnetConfig, inputs: HostTensors): Program {
  return traced(inputs, (at, { x, t, t_fractional, x_other_size, context, y }) => {
    const outputs: Record<string, Tensor> = {}
    if (t_fractional) outputs.out_fractional_t = unet(at, config, { x: x!, t: t_fractional, context, y })
    if (x_other_size) outputs.out_other_size = unet(at, config, { x: x_other_size, t: t!, context, y })
    outputs.out = unet(at, config, { x: x!, t: t!, context, y })
    return outputs
  })
}

const PROBE = 'probe:'

const withProbes = (program: Program): Program => ({
  ...program,
  outputs: {
    ...program.outputs,
    ...Object.fromEntries(Object.entries(program.marks).map(([path, tensor]) => [PROBE + path, tensor])),
  },
})
