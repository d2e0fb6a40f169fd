import { constant } from './constant.js'
import { gather } from './gather.js'
import { matmul } from './matmul.js'
import { sum } from './reduce.js'
import { reshape, transpose } from './reshape.js'
import { type Shape, show, sizeOf } from './shape.js'
import { apply, type Operation, type Tensor } from './tensor.js'

/** Height and width. */
type Size = readonly [number, number]

function checkSize(op: string, { shape }: Tensor, size: Size): void {
  if (
    shape.length < 2 ||
    shape.slice(-2).some(length => length < 0) ||
    !size.every(n => Number.isInteger(n) && n > 0)
  ) {
    throw new RangeError(
      `${op}: ${show(shape)} to ${show(size)}: wanted [..., height, width], neither open, and a size above 0`,
    )
  }
}

const resizedShape = (x: Shape, size: Size): Shape => [...x.slice(0, -2), ...size]

const nearestOperation: Operation<{ size: Size }> = {
  name: 'resizeNearest',
  infer: ([x], { size }) => ({ shape: resizedShape(x!.shape, size), dtype: x!.dtype }),
  evaluate: ([x], { size: [height, width] }, shape) => {
    const [h, w] = x!.shape.slice(-2) as [number, number]
    return Float64Array.from({ length: sizeOf(shape) }, (_, n) => {
      const row = Math.floor(((Math.floor(n / width) % height) * h) / height)
      const column = Math.floor(((n % width) * w) / width)
      return x!.data[(Math.floor(n / (width * height)) * h + row) * w + column]!
    })
  },
  emit: (to, [x], { attributes: { size }, shape }) =>
    to.node('Resize', [x!, '', '', to.ints(size)], {
      mode: 'nearest',
      coordinate_transformation_mode: 'asymmetric',
      nearest_mode: 'floor',
      axes: [shape.length - 2, shape.length - 1],
    }),
  gradient: (g, { inputs: [x], attributes: { size } }) => {
    const [h, w] = x!.shape.slice(-2) as [number, number]
    const rank = x!.shape.length
    const blocks = reshape(g, [...x!.shape.slice(0, -2), h, size[0] / h, w, size[1] / w])
    return [sum(blocks, { axes: [rank - 1, rank + 1] })]
  },
}

/**
 * Nearest-neighbour resize of the last two axes to [height, width], as torch's 'nearest': the source of i is
 * floor(i * old / new).
 */
export function resizeNearest(x: Tensor, size: Size): Tensor {
  checkSize('resizeNearest', x, size)
  const old = x.shape.slice(-2)
  if (old.every((n, i) => n === size[i])) return x
  if (old.every((n, i) => size[i]! % n === 0)) return apply(nearestOperation, [x], { size })
  // Resize divides by a rounded scale, which can miss by a pixel; indices cannot.
  const sources = (axis: 0 | 1) => {
    const indices = Float64Array.from({ length: size[axis] }, (_, i) => Math.floor((i * old[axis]!) / size[axis]))
    return constant(indices, [size[axis]], 'i64')
  }
  return gather(gather(x, sources(0), { axis: -2 }), sources(1), { axis: -1 })
}

/** Weights [size, old] with which linear interpolation takes `size` points from `old` ones (torch's formulas). */
function interpolation(old: number, size: number, alignCorners: boolean): Float32Array {
  const weights = new Float32Array(size * old)
  for (let i = 0; i < size; i++) {
    const at = alignCorners ? (size > 1 ? (i * (old - 1)) / (size - 1) : 0) : ((i + 0.5) * old) / size - 0.5
    const source = Math.min(Math.max(at, 0), old - 1)
    const low = Math.floor(source)
    weights[i * old + low]! += 1 - (source - low)
    weights[i * old + Math.min(low + 1, old - 1)]! += source - low
  }
  return weights
}

const bilinearOperation: Operation<{ size: Size; alignCorners: boolean }> = {
  name: 'resizeBilinear',
  infer: ([x], { size }) => ({ shape: resizedShape(x!.shape, size), dtype: x!.dtype }),
  evaluate: ([x], { size, alignCorners }, shape) => {
    const [h, w] = x!.shape.slice(-2) as [number, number]
    const rows = interpolation(h, size[0], alignCorners)
    const columns = interpolation(w, size[1], alignCorners)
    return Float64Array.from({ length: sizeOf(shape) }, (_, n) => {
      const [column, row] = [n % size[1], Math.floor(n / size[1]) % size[0]]
      const image = Math.floor(n / (size[0] * size[1])) * h * w
      let total = 0
      for (let y = 0; y < h; y++) {
        for (let z = 0; z < w; z++) total += rows[row * h + y]! * columns[column * w + z]! * x!.data[image + y * w + z]!
      }
      return total
    })
  },
  emit: (to, [x], { attributes: { size, alignCorners }, shape }) =>
    to.node('Resize', [x!, '', '', to.ints(size)], {
      mode: 'linear',
      coordinate_transformation_mode: alignCorners ? 'align_corners' : 'half_pixel',
      axes: [shape.length - 2, shape.length - 1],
    }),
  gradient: (g, { inputs: [x], attributes: { size, alignCorners } }) => {
    const [h, w] = x!.shape.slice(-2) as [number, number]
    const rows = constant(interpolation(h, size[0], alignCorners), [size[0], h], g.dtype)
    const columns = constant(interpolation(w, size[1], alignCorners), [size[1], w], g.dtype)
    return [matmul(transpose(rows), matmul(g, columns))]
  },
}

/** Bilinear resize of the last two axes to [height, width], without antialiasing, as torch's 'bilinear'. */
export function resizeBilinear(
  x: Tensor,
  size: Size,
  { alignCorners = false }: { alignCorners?: boolean } = {},
): Tensor {
  checkSize('resizeBilinear', x, size)
  return apply(bilinearOperation, [x], { size, alignCorners })
}
