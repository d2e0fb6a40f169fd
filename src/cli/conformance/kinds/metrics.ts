import { z } from 'zod'
import { type InterpolateMode, interpolate } from '../../../image/interpolate.js'
import { fromBytes, toBytes } from '../../../image/pixels.js'
import { type Box, type ResizeFilter, resizeImage, resizePlanes } from '../../../image/resize.js'
import type { Features } from '../../../metrics/features.js'
import { frechetDistance } from '../../../metrics/frechet-distance.js'
import { inceptionScore } from '../../../metrics/inception-score.js'
import { kernelDistance } from '../../../metrics/kernel-distance.js'
import { precisionRecall } from '../../../metrics/precision-recall.js'
import { meanSquaredError, psnr, type Raster } from '../../../metrics/psnr.js'
import { ssim } from '../../../metrics/ssim.js'
import type { Case } from '../case.js'
import type { Value } from '../compare.js'
import { type JsonValue, type Kind, NotBuilt } from '../kind.js'
import { overrideText } from '../tolerance.js'

const pairs = z.array(z.tuple([z.string(), z.string(), z.string()]))

const psnrConfig = z.object({ pairs })

/** PSNR and SSIM. */
export const psnrAndSsim: Kind = {
  kind: 'metrics',
  recognises: ({ objects, config }) =>
    objects.includes('structural_similarity') && psnrConfig.safeParse(config).success,
  async run(testCase) {
    const values: Record<string, JsonValue> = {}
    const maps = new Map<string, Value>()
    for (const [name, first, second] of psnrConfig.parse(testCase.config).pairs) {
      const { dtype } = await testCase.input(first)
      const range = dtype === 'U8' ? 255 : 1
      const [a, b] = [await raster(testCase, first), await raster(testCase, second)]
      const gaussian = ssim(a, b, { range })
      values[name] = {
        psnr: psnr(a, b, range),
        mse: meanSquaredError(a, b),
        ssim_gaussian: gaussian.mean,
        ssim_uniform7: ssim(a, b, { range, window: 7 }).mean,
        ssim_uniform11: ssim(a, b, { range, window: 11, sampleCovariance: false }).mean,
        ssim_gaussian_first_channel: gaussian.byChannel[0]!,
      }
      maps.set(`${name}.ssim_map_first_channel`, { shape: [a.height, a.width], data: gaussian.maps[0]! })
    }
    return {
      files: Object.fromEntries(testCase.filesOf('expected').map(f => [f, f.endsWith('.json') ? values : maps])),
    }
  },
}

async function raster(testCase: Case, name: string): Promise<Raster> {
  const { shape, data } = await testCase.input(name)
  return {
    data: Float64Array.from(data as ArrayLike<number>),
    height: shape[0]!,
    width: shape[1]!,
    channels: shape[2]!,
  }
}

/** Network output to bytes and back. */
export const imageBytes: Kind = {
  kind: 'metrics',
  recognises: ({ objects }) => objects.includes('numpy_to_pil'),
  async run(testCase) {
    const decoded = Float32Array.from((await testCase.input('decoded')).data as ArrayLike<number>)
    const { data, shape } = await testCase.input('pixels')
    const floats = fromBytes(Uint8Array.from(data as ArrayLike<number>))
    const of = (data: ArrayLike<number>): Value => ({ shape, data })
    const tensors = new Map([
      ['compvis_uint8', of(toBytes(decoded, 'truncate'))],
      ['diffusers_uint8', of(toBytes(decoded, 'round'))],
      ['compvis_from_uint8', of(floats)],
      ['img2img_from_uint8', of(floats)],
    ])
    return { files: { [testCase.filesOf('expected')[0]!]: tensors } }
  },
  tolerance({ tolerance }, _file, entry) {
    const floats = /floats (\d[\d.e-]*)/.exec(tolerance.rule)?.[1]
    return entry.endsWith('_from_uint8') && floats ? { atol: Number(floats), rtol: 0 } : undefined
  },
}

const resizeConfig = z.object({
  crop_box: z.tuple([z.number(), z.number(), z.number(), z.number()]),
  sizes: z.array(z.array(z.number())),
})

/** Pillow's and torch's resizing. */
export const resizing: Kind = {
  kind: 'metrics',
  recognises: ({ objects, config }) => objects.includes('Image.resize') && resizeConfig.safeParse(config).success,
  async run(testCase) {
    const rgb = await testCase.input('rgb')
    const floats = await testCase.input('float')
    const { crop_box: box, sizes } = resizeConfig.parse(testCase.config)
    const from = { height: rgb.shape[0]!, width: rgb.shape[1]! }
    const image = { data: Uint8Array.from(rgb.data as ArrayLike<number>), ...from, channels: 3 as const }
    const planes = Float32Array.from(floats.data as ArrayLike<number>)
    const file = testCase.filesOf('expected')[0]!
    const tensors = new Map<string, Value>()
    for (const [name, { shape }] of await testCase.tensors(file)) {
      const parts =
        /^(pil|pil_float|torch)\.([\w-]+)(?:\.(antialias|align_corners))?\.(?:(\d+)x(\d+)|scale([\d.]+)|(box))$/.exec(
          name,
        )
      if (!parts) throw new NotBuilt(`resizing as "${name}" says`)
      const [, library, filter, option, w, h, scale, boxed] = parts
      const [width, height] = boxed ? [sizes[0]![0]!, sizes[0]![1]!] : [Number(w), Number(h)]
      const options = { filter: filter as ResizeFilter, ...(boxed ? { box: box as Box } : {}) }
      const data =
        library === 'pil'
          ? resizeImage(image, width, height, options).data
          : library === 'pil_float'
            ? interleaved(resizePlanes(planar(image), from, width, height, options))
            : interpolate(planes, from, scale ? { scaleFactor: Number(scale) } : { width, height }, {
                mode: filter as InterpolateMode,
                antialias: option === 'antialias',
                alignCorners: option === 'align_corners',
              })
      tensors.set(name, { shape, data })
    }
    return { files: { [file]: tensors } }
  },
  tolerance({ tolerance }, _file, entry) {
    const steps = /allow (\d+)/.exec(overrideText(tolerance, 'pil.*') ?? '')?.[1]
    return entry.startsWith('pil.') && steps ? { atol: Number(steps), rtol: 0 } : undefined
  },
}

function planar({ data }: { data: Uint8Array }): Float32Array {
  const area = data.length / 3
  return Float32Array.from(data, (_, i) => data[(i % area) * 3 + Math.floor(i / area)]!)
}

function interleaved(data: Float32Array): Float32Array {
  const area = data.length / 3
  return data.map((_, i) => data[(i % 3) * area + Math.floor(i / 3)]!)
}

const generativeConfig = z.object({
  pairs,
  neighbourhoods: z.array(z.number()),
  inception_score: z.array(z.tuple([z.string(), z.string(), z.number()])),
})
const index = z.array(z.number().int().nonnegative())
const subsets = z.object({ kid_subsets: z.array(z.object({ first: index, second: index })) })
const permutation = z.object({ permutation: index })

/** Fréchet, kernel and Inception scores, precision and recall. The rows that were drawn stand in the expected file. */
export const generative: Kind = {
  kind: 'metrics',
  recognises: ({ objects, config }) =>
    objects.includes('calculate_frechet_distance') && generativeConfig.safeParse(config).success,
  async run(testCase) {
    const file = testCase.filesOf('expected')[0]!
    const given = z.record(z.string(), z.unknown()).parse(await testCase.json(file))
    const config = generativeConfig.parse(testCase.config)
    const values: Record<string, JsonValue> = {}
    for (const [name, first, second] of config.pairs) {
      const [a, b] = [await features(testCase, first), await features(testCase, second)]
      const { kid_subsets } = subsets.parse(given[name])
      const fid = frechetDistance(a, b)
      const kid = kernelDistance(a, b, kid_subsets)
      const neighbours = config.neighbourhoods.map(neighbourhood => {
        const { precision, recall, fScore } = precisionRecall(a, b, { neighbourhood })
        return [`precision_recall_k${neighbourhood}`, { precision, recall, f_score: fScore }] as const
      })
      values[name] = {
        fid_torch_fidelity: fid,
        fid_pytorch_fid: fid,
        kid_mean: kid.mean,
        kid_std: kid.std,
        kid_per_subset: kid.perSubset,
        kid_subsets,
        ...Object.fromEntries(neighbours),
      }
    }
    const drawn = z.record(z.string(), permutation).parse(given.inception_score)
    const scores: Record<string, JsonValue> = {}
    for (const [name, tensor, splits] of config.inception_score) {
      const logits = await features(testCase, tensor)
      const { permutation: order } = drawn[name]!
      const score = (options: { splits: number; order?: number[] }) => {
        const { mean, std } = inceptionScore(logits, options)
        return { inception_score_mean: mean, inception_score_std: std }
      }
      scores[name] = { unshuffled: score({ splits }), shuffled: score({ splits, order }), permutation: order }
    }
    return { files: { [file]: { ...values, inception_score: scores } } }
  },
  // Told in sentences: "absolute 1e-6; 1e-3 for A and B (why)" and "1e-6 (why)".
  tolerance({ tolerance }, _file, entry) {
    const [pair, key, score] = entry.split('.')
    if (key?.startsWith('fid_')) {
      const [, usual, wide, names] =
        /^absolute ([\d.e-]+)(?:; ([\d.e-]+) for ([^(]+))?/.exec(overrideText(tolerance, 'fid_*') ?? '') ?? []
      const isWide = names?.split(/,| and /).some(name => name.trim() === pair)
      return usual ? { atol: Number(isWide ? wide : usual), rtol: 0 } : undefined
    }
    if (score && ['precision', 'recall', 'f_score'].includes(score)) {
      const atol = /^([\d.e-]+)/.exec(overrideText(tolerance, 'precision, recall, f_score') ?? '')?.[1]
      return atol ? { atol: Number(atol), rtol: 0 } : undefined
    }
    return undefined
  },
}

async function features(testCase: Case, name: string): Promise<Features> {
  const { shape, data } = await testCase.input(name)
  return { data: Float64Array.from(data as ArrayLike<number>), rows: shape[0]!, columns: shape[1]! }
}
