import { antialiasTaps, applyTaps, cubic, edgeTaps, filters, type Taps } from './taps.js'

export type InterpolateMode = 'nearest' | 'nearest-exact' | 'bilinear' | 'bicubic' | 'area'

export interface InterpolateOptions {
  readonly mode?: InterpolateMode
  /** Widen the filter when shrinking (bilinear and bicubic). */
  readonly antialias?: boolean
  /** Whether the corner pixels' centres, not their corners, stay where they are (bilinear and bicubic). */
  readonly alignCorners?: boolean
}

/** The wanted size, or the factor of both sides (the factor itself then maps positions, not the ratio of sizes). */
export type InterpolateTo = { readonly width: number; readonly height: number } | { readonly scaleFactor: number }

/**
 * Resizes planes [count, height, width] as torch.nn.functional.interpolate does.
 *
 * Unlike Pillow's, its bicubic has a = -0.75, and -0.5 with antialias alone.
 *
 * @example const half = interpolate(planes, { width: 64, height: 64 }, { scaleFactor: 0.5 }, { mode: 'bilinear' })
 */
export function interpolate(
  data: Float32Array,
  from: { readonly width: number; readonly height: number },
  to: InterpolateTo,
  { mode = 'nearest', antialias = false, alignCorners = false }: InterpolateOptions = {},
): Float32Array {
  const planes = data.length / (from.width * from.height)
  const factor = 'scaleFactor' in to ? to.scaleFactor : undefined
  const { width, height } = interpolatedSize(from, to)
  if (!Number.isInteger(planes) || !(width >= 1) || !(height >= 1)) {
    throw new RangeError(
      `Cannot interpolate ${data.length} values of ${from.width}x${from.height} to ${width}x${height}`,
    )
  }
  const taps = (input: number, output: number) => axisTaps(input, output, factor, { mode, antialias, alignCorners })
  const rows = { outer: planes * from.height, input: from.width, output: width, inner: 1 }
  const columns = { outer: planes, input: from.height, output: height, inner: width }
  return applyTaps(applyTaps(data, rows, taps(from.width, width)), columns, taps(from.height, height))
}

/** The size that `interpolate` gives. */
export function interpolatedSize(from: { readonly width: number; readonly height: number }, to: InterpolateTo) {
  if (!('scaleFactor' in to)) return { width: to.width, height: to.height }
  return { width: Math.floor(from.width * to.scaleFactor), height: Math.floor(from.height * to.scaleFactor) }
}

/** One axis; positions are single precision as torch computes them, so that floors fall alike. */
function axisTaps(
  input: number,
  output: number,
  factor: number | undefined,
  { mode, antialias, alignCorners }: Required<InterpolateOptions>,
): Taps {
  const scale = Math.fround(factor === undefined ? input / output : 1 / factor)
  if (mode === 'nearest') return edgeTaps(input, output, 1, i => [[Math.floor(Math.fround(i * scale)), 1]])
  if (mode === 'nearest-exact')
    return edgeTaps(input, output, 1, i => [[Math.floor(Math.fround((i + 0.5) * scale)), 1]])
  if (mode === 'area') return areaTaps(input, output)
  if (antialias) {
    return antialiasTaps(mode === 'bilinear' ? filters.bilinear : filters.bicubic, input, output, 0, scale)
  }
  const step = output > 1 ? (input - 1) / (output - 1) : 0
  const position = (i: number) => (alignCorners ? i * step : (i + 0.5) * scale - 0.5)
  if (mode === 'bilinear') {
    return edgeTaps(input, output, 2, i => {
      const at = Math.max(0, position(i))
      const first = Math.floor(at)
      return [
        [first, 1 - (at - first)],
        [first + 1, at - first],
      ]
    })
  }
  const kernel = cubic(-0.75)
  return edgeTaps(input, output, 4, i => {
    const at = position(i)
    const first = Math.floor(at) - 1
    return [0, 1, 2, 3].map(k => [first + k, kernel.at(at - first - k)])
  })
}

/** Means over the inputs that an output touches (adaptive_avg_pool2d). */
function areaTaps(input: number, output: number): Taps {
  return edgeTaps(input, output, Math.ceil(input / output) + 1, i => {
    const first = Math.floor((i * input) / output)
    const count = Math.ceil(((i + 1) * input) / output) - first
    return Array.from({ length: count }, (_, k) => [first + k, 1 / count])
  })
}
