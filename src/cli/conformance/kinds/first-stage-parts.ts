import { z } from 'zod'
import { grad } from '../../../autodiff/index.js'
import { type DiscriminatorConfig, discriminator, normWidths } from '../../../autoencoder/discriminator.js'
import { codeCounts, codesOf, codeUse, quantize } from '../../../autoencoder/vq.js'
import { discriminatorLoss } from '../../../losses/adversarial.js'
import { batchNorms, batchNormsBy, type RunningStatistics } from '../../../nn/batch-norm.js'
import {
  headMaps,
  layerDistance,
  lpips,
  lpipsFeatures,
  lpipsNetworks,
  spatialDistance,
} from '../../../perceptual/lpips.js'
import { VGG16_WIDTHS } from '../../../perceptual/vgg.js'
import { lpipsName } from '../../../perceptual/weights.js'
import type { HostTensor } from '../../../runtime/host-tensor.js'
import { add, mul } from '../../../tensor/binary.js'
import { sum } from '../../../tensor/reduce.js'
import { reshape } from '../../../tensor/reshape.js'
import { concat } from '../../../tensor/slice.js'
import type { Tensor } from '../../../tensor/tensor.js'
import { addAll } from '../../../tensor/unary.js'
import type { Case } from '../case.js'
import type { Value } from '../compare.js'
import type { Kind } from '../kind.js'
import { fill, hosted, inputsOf, type Network, runOnce, traced, weightsOf } from './programs.js'

const quantizerConfig = z.object({
  n_e: z.number(),
  e_dim: z.number(),
  beta: z.number(),
  loss_factor: z.number(),
  entry_shape: z.array(z.number()),
})

/** The quantiser alone: codes, losses in both forms, gradients, perplexity. */
const vectorQuantizer: Kind = {
  kind: 'training',
  recognises: ({ objects, config }) => objects.includes('VectorQuantizer') && quantizerConfig.safeParse(config).success,
  async run(testCase, context) {
    const { n_e, e_dim, beta, loss_factor, entry_shape } = quantizerConfig.parse(testCase.config)
    const { codebook: weight, ...inputs } = await inputsOf(testCase)
    const name = 'quantize.embedding.weight'
    const network: Network = (at, { z, upstream, indices }) => {
      const outputs: Record<string, Tensor> = {}
      const codebook = at('quantize.embedding').parameter('weight', [n_e, e_dim], { kind: 'constant', value: 0 })
      for (const [form, legacy] of [
        ['legacy', true],
        ['fixed', false],
      ] as const) {
        const made = quantize(at, { n_embed: n_e, embed_dim: e_dim, beta, legacy }, z!)
        const total = add(mul(made.codebookLoss, loss_factor), sum(mul(made.latents, upstream!)))
        const [ofLatents, ofCodes] = grad(total, [z!, codebook]) as [Tensor, Tensor]
        const { perplexity, usage } = codeUse(codeCounts(made.indices, n_e))
        const count = made.indices.shape.reduce((a, b) => a * b)
        Object.assign(outputs, {
          [`${form}.z_q`]: made.latents,
          [`${form}.loss`]: reshape(made.codebookLoss, [1]),
          [`${form}.grad_z`]: ofLatents,
          [`${form}.grad_codebook`]: ofCodes,
          [`${form}.indices`]: reshape(made.indices, [count]),
          [`${form}.perplexity`]: reshape(perplexity, [1]),
          [`${form}.cluster_use`]: reshape(usage, [1]),
        })
      }
      return { ...outputs, codebook_entry: codesOf(codebook, reshape(indices!, entry_shape.slice(0, 3))) }
    }
    const program = traced(inputs, network)
    return { files: await fill(testCase, await runOnce(context, program, new Map([[name, weight!]]), inputs)) }
  },
}

const partsConfig = z.object({
  perceptual_widths: z.record(z.string(), z.number()).default({}),
  disc_ndf: z.number(),
  disc_num_layers: z.number(),
  disc_in_channels: z.number(),
})

/** LPIPS over a narrow VGG16, and a patch discriminator through two batches. */
const lpipsAndDiscriminator: Kind = {
  kind: 'training',
  recognises: ({ objects, config }) =>
    objects.includes('LPIPS') && objects.includes('NLayerDiscriminator') && partsConfig.safeParse(config).success,
  async run(testCase, context) {
    const words = partsConfig.parse(testCase.config)
    const widths = VGG16_WIDTHS.map(width => words.perceptual_widths[width] ?? width)
    const config: DiscriminatorConfig = {
      in_channels: words.disc_in_channels,
      ndf: words.disc_ndf,
      n_layers: words.disc_num_layers,
      use_actnorm: false,
    }
    const stored = await weightsOf(testCase, file => (file.includes('discriminator') ? JUDGE : LPIPS))
    const weights = new Map([...stored].map(([name, tensor]) => [renamed(name), tensor]))
    const statistics = Object.fromEntries(
      [...normWidths(config).keys()].flatMap(path =>
        ['running_mean', 'running_var'].map(name => {
          const full = `${JUDGE}${path}.${name}`
          return [full, weights.get(full)!] as const
        }),
      ),
    )
    const inputs = { ...(await inputsOf(testCase)), ...statistics }
    const network: Network = (at, { a, b, upstream, ...running }) => {
      const vgg = { network: 'vgg', widths } as const
      const distance = lpips(at(LPIPS.slice(0, -1)), a!, b!, vgg)
      const features = lpipsFeatures(at(LPIPS.slice(0, -1)), a!, vgg)
      const place = at(JUDGE.slice(0, -1))
      const first = batchNorms(running)
      const real = discriminator(place, config, a!, first.normalise)
      const second = batchNorms(first.after)
      const made = discriminator(place, config, b!, second.normalise)
      const trained = Object.fromEntries(
        [...weights].flatMap(([name, { shape }]) => {
          const path = /^discriminator\.(main\.\d+)\.(weight|bias)$/.exec(name)
          if (path === null) return []
          return [[`${path[1]}.${path[2]}`, place(path[1]!).parameter(path[2]!, shape, { kind: 'constant', value: 0 })]]
        }),
      )
      const [ofImage, ...ofTrained] = grad(sum(mul(real, upstream!)), [a!, ...Object.values(trained)])
      const after = (when: string, statistics: RunningStatistics) =>
        Object.entries(statistics).map(([name, tensor]) => [name.replace(JUDGE, `${when}.`), tensor] as const)
      return {
        lpips: reshape(distance, [a!.shape[0]!, 1, 1, 1]),
        lpips_grad_a: grad(sum(distance), [a!])[0]!,
        ...Object.fromEntries(features.map((tensor, i) => [`features${i}`, tensor])),
        disc_train_logits: real,
        disc_train_grad_x: ofImage!,
        ...Object.fromEntries(Object.keys(trained).map((name, i) => [`disc_train_grad.${name}`, ofTrained[i]!])),
        ...Object.fromEntries(after('after_one_pass', first.after)),
        ...Object.fromEntries(after('after_two_passes', second.after)),
        disc_eval_logits: discriminator(place, config, b!, batchNormsBy(second.after)),
        hinge_d_loss: reshape(discriminatorLoss('hinge', real, made), [1]),
        vanilla_d_loss: reshape(discriminatorLoss('vanilla', real, made), [1]),
      }
    }
    const results = new Map<string, Value>(
      Object.entries(await runOnce(context, traced(inputs, network), weights, inputs)),
    )
    for (const [name, { data }] of weights) {
      if (!name.endsWith('.num_batches_tracked')) continue
      for (const [passes, when] of ['after_one_pass', 'after_two_passes'].entries()) {
        results.set(name.replace(JUDGE, `${when}.`), { shape: [], data: [Number(data[0]) + passes + 1] })
      }
    }
    return { files: await fill(testCase, results) }
  },
}

const JUDGE = 'discriminator.'
const LPIPS = 'lpips.'

const renamed = (name: string): string =>
  name.startsWith(LPIPS) ? LPIPS + (lpipsName(name.slice(LPIPS.length)) ?? name) : name

const headsConfig = z.object({ nets: z.array(z.enum(lpipsNetworks)) })

/** The heads of LPIPS over given features. */
const lpipsHeads: Kind = {
  kind: 'metrics',
  recognises: ({ objects, config }) => objects.includes('LPIPS') && headsConfig.safeParse(config).success,
  async run(testCase, context) {
    const [file] = testCase.filesOf('expected') as [string]
    const expected = await testCase.tensors(file)
    const values = new Map<string, Value>()
    for (const net of headsConfig.parse(testCase.config).nets) {
      const inputs = await tensorsOf(testCase, 'input', net)
      const weights = new Map(Object.entries(await tensorsOf(testCase, 'weights', net)))
      const size = expected.get(`${net}.spatial`)!.shape.slice(2) as [number, number]
      const layers = Object.keys(inputs).filter(name => name.startsWith('first')).length
      const program = traced(inputs, (at, given) => {
        const named = (word: string) => Array.from({ length: layers }, (_, i) => given[`${word}${i}`]!)
        const maps = headMaps(at, named('first'), named('second'))
        const distances = maps.map(layerDistance)
        return {
          distance: addAll(distances),
          per_layer: concat(
            distances.map(distance => reshape(distance, [1, distance.shape[0]!])),
            { axis: 0 },
          ),
          spatial: spatialDistance(maps, size),
        }
      })
      const results = await runOnce(context, program, weights, inputs)
      for (const [name, value] of Object.entries(results)) values.set(`${net}.${name}`, value)
    }
    return { files: { [file]: values } }
  },
}

/** The tensors of the file of a role that belongs to a network, by its name in the file's. */
async function tensorsOf(testCase: Case, role: string, net: string): Promise<Record<string, HostTensor>> {
  const file = testCase.filesOf(role).find(name => name.includes(`_${net}.`))!
  return Object.fromEntries([...(await testCase.tensors(file))].map(([name, tensor]) => [name, hosted(tensor)]))
}

export const firstStageParts: readonly Kind[] = [vectorQuantizer, lpipsAndDiscriminator, lpipsHeads]
