import { z } from 'zod'
import { decode, encodeMoments } from '../../../autoencoder/autoencoder.js'
import { autoencoderConfig, vqConfig } from '../../../autoencoder/config.js'
import { encoder } from '../../../autoencoder/networks.js'
import { deviation, kl, nll, posteriorOf, sample } from '../../../autoencoder/posterior.js'
import { decodeTaesd, encodeTaesd, scaleLatents, taesdConfig, unscaleLatents } from '../../../autoencoder/taesd.js'
import { decodeVq, encodeVq, quantize } from '../../../autoencoder/vq.js'
import type { HostTensor } from '../../../runtime/host-tensor.js'
import { reshape } from '../../../tensor/reshape.js'
import { autoencoderFromDiffusers } from '../../../weights/diffusers/autoencoder.js'
import { autoencoderRenames } from '../../../weights/diffusers/autoencoder-names.js'
import { tinyAutoencoderRenames } from '../../../weights/diffusers/tiny-autoencoder.js'
import type { Case } from '../case.js'
import type { Value } from '../compare.js'
import type { Kind } from '../kind.js'
import { configured, diffusersLayout, fill, inputsOf, type Network, runOnce, traced, weightsOf } from './programs.js'

/** Encoder, posterior and decoder of KL autoencoders. */
const klAutoencoders: Kind = {
  kind: 'autoencoder',
  recognises: ({ config }) => config.class === 'AutoencoderKL',
  async run(testCase, context) {
    const inputs = await inputsOf(testCase)
    const compute = async (words: unknown, weights: Map<string, HostTensor>) =>
      fill(testCase, await runOnce(context, traced(inputs, klNetwork(words)), weights, inputs))
    const files = await compute(wordsOf(testCase, 'ddconfig', 'embed_dim'), await weightsOf(testCase))

    const layout = await diffusersLayout(testCase)
    if (layout === undefined) return { files }
    const { words } = autoencoderFromDiffusers(layout.config, layout.file)
    const weights = await layout.weights?.(autoencoderRenames(words.ddconfig).toCompvis)
    return { files, layouts: [await compute(words, weights ?? (await weightsOf(testCase)))] }
  },
}

function klNetwork(words: unknown): Network {
  const config = configured(autoencoderConfig, words)
  return (at, { image, noise, latent, image_other_size }) => {
    const moments = encodeMoments(at, config, image!)
    const posterior = posteriorOf(moments)
    const sampled = sample(posterior, noise!)
    return {
      encoder_out: encoder(at('encoder'), config.ddconfig, image!),
      moments,
      mean: posterior.mean,
      logvar_clamped: posterior.logvar,
      std: deviation(posterior),
      sample: sampled,
      kl: kl(posterior),
      nll_of_sample: nll(posterior, sampled),
      decoded_sample: decode(at, config, sampled),
      decoded_mode: decode(at, config, posterior.mean),
      ...(latent && { decoded_latent: decode(at, config, latent) }),
      ...(image_other_size && { moments_other_size: encodeMoments(at, config, image_other_size) }),
    }
  }
}

/** Encoder, quantiser and decoder of autoencoders with a codebook. */
const vqAutoencoders: Kind = {
  kind: 'autoencoder',
  recognises: ({ config }) => String(config.class).startsWith('VQModel'),
  async run(testCase, context) {
    const config = configured(vqConfig, wordsOf(testCase, 'ddconfig', 'embed_dim', 'n_embed', 'beta', 'legacy'))
    const weights = await weightsOf(testCase)
    const inputs = await inputsOf(testCase)
    const network: Network = (at, { image, latent }) => {
      const prequant = encodeVq(at, config, image!)
      const quantized = quantize(at, config, prequant)
      const given = quantize(at, config, latent!)
      return {
        prequant,
        quantized: quantized.latents,
        codebook_loss: reshape(quantized.codebookLoss, [1]),
        indices: quantized.indices,
        decoded: decodeVq(at, config, quantized.latents),
        decoded_not_quantized: decodeVq(at, config, prequant),
        latent_indices: given.indices,
        latent_quantized: given.latents,
        decoded_latent: decodeVq(at, config, given.latents),
      }
    }
    const results = new Map<string, Value>(
      Object.entries(await runOnce(context, traced(inputs, network), weights, inputs)),
    )
    const gap = nearestGap(results.get('prequant')!, weights.get('quantize.embedding.weight')!)
    const clear = (await expected(testCase, 'nearest_gap')).map(x => +(x > 1e-4))
    results.set('nearest_gap', gap)
    results.set('indices', { ...results.get('indices')!, compare: clear })
    return { files: await fill(testCase, results) }
  },
}

/** How much further the second nearest code is than the nearest, at each position. */
export function nearestGap(latents: Value, codebook: Value): Value {
  const [batch, channels, height, width] = latents.shape as [number, number, number, number]
  const positions = height * width
  const data = Float64Array.from({ length: batch * positions }, (_, i) => {
    const start = Math.floor(i / positions) * channels * positions + (i % positions)
    const distances = Array.from({ length: codebook.shape[0]! }, (_, code) => {
      let distance = 0
      for (let c = 0; c < channels; c++) {
        distance += (Number(latents.data[start + c * positions]) - Number(codebook.data[code * channels + c])) ** 2
      }
      return distance
    }).sort((a, b) => a - b)
    return Math.sqrt(distances[1]!) - Math.sqrt(distances[0]!)
  })
  return { shape: [batch, height, width], data }
}

async function expected(testCase: Case, name: string): Promise<number[]> {
  for (const file of testCase.filesOf('expected')) {
    const tensor = (await testCase.tensors(file)).get(name)
    if (tensor) return Array.from(tensor.data, Number)
  }
  return []
}

const tinyWords = z.object({ block_out_channels: z.array(z.number()).min(1), latent_channels: z.number() })

/** TAESD and its kin. */
const tinyAutoencoders: Kind = {
  kind: 'autoencoder',
  recognises: ({ config, source }) =>
    source.some(({ path }) => path === 'taesd.py') && taesdConfig.safeParse(config).success,
  async run(testCase, context) {
    const { image01, latent } = await inputsOf(testCase)
    const inputs = { images: image01!, given: latent! }
    const compute = async (words: unknown, weights: Map<string, HostTensor>) => {
      const config = configured(taesdConfig, words)
      const network: Network = (at, { images, given }) => {
        const scaled = scaleLatents(given!)
        return {
          latent: encodeTaesd(at('encoder'), config, images!),
          decoded: decodeTaesd(at('decoder'), config, given!),
          scaled,
          unscaled: unscaleLatents(scaled),
        }
      }
      return fill(testCase, await runOnce(context, traced(inputs, network), weights, inputs))
    }
    const prefixOf = (file: string) => (file.includes('encoder') ? 'encoder.' : 'decoder.')
    const files = await compute(testCase.config, await weightsOf(testCase, prefixOf))

    const layout = await diffusersLayout(testCase)
    const weights = await layout?.weights?.(tinyAutoencoderRenames.toCompvis)
    if (layout === undefined || weights === undefined) return { files }
    const { block_out_channels, latent_channels } = configured(tinyWords, layout.config)
    return { files, layouts: [await compute({ width: block_out_channels[0], latent_channels }, weights)] }
  },
}

const wordsOf = ({ config }: Case, ...words: string[]): object =>
  Object.fromEntries(words.flatMap(word => (config[word] === undefined ? [] : [[word, config[word]]])))

export const autoencoders: readonly Kind[] = [klAutoencoders, vqAutoencoders, tinyAutoencoders]
