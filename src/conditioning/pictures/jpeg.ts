/*
 * What a JPEG file of some quality leaves of a picture, without writing one: only the rounding of the coefficients loses
 * anything, the rest of the format does not. Source: ITU T.81, annexes A and K; its quality as libjpeg counts it.
 */

/** T.81, tables K.1 and K.2. */
const luminance = [
  16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
  87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
  72, 92, 95, 98, 112, 100, 103, 99,
]
const chrominance = [17, 18, 24, 47, 18, 21, 26, 66, 24, 26, 56, 99, 47, 66, 99, 99]
const chroma = Array.from({ length: 64 }, (_, i) => (i % 8 < 4 && i < 32 ? chrominance[(i >> 3) * 4 + (i % 8)]! : 99))

/** Rows of the cosine transform of 8 points, orthonormal. */
const cosines = Float64Array.from({ length: 64 }, (_, i) => {
  const [frequency, x] = [i >> 3, i % 8]
  return Math.cos(((2 * x + 1) * frequency * Math.PI) / 16) * Math.sqrt(frequency === 0 ? 1 / 8 : 1 / 4)
})

/** Pixels [3, height, width] in [0, 1] as a JPEG of quality 1 to 100 has them, colours at half the size. */
export function jpegPixels(pixels: Float32Array, width: number, height: number, quality: number): Float32Array {
  const scale = quality < 50 ? 5000 / quality : 200 - 2 * quality
  const steps = (table: readonly number[]) =>
    table.map(step => Math.min(Math.max(Math.floor((step * scale + 50) / 100), 1), 255))
  const area = width * height
  const plane = (r: number, g: number, b: number) =>
    Float64Array.from({ length: area }, (_, i) => {
      const at = (c: number) => Math.round(pixels[c * area + i]! * 255)
      return r * at(0) + g * at(1) + b * at(2)
    })
  // JFIF: zero is the middle of the range for all three, 128 is taken off the brightness.
  const y = plane(0.299, 0.587, 0.114).map(value => value - 128)
  const [cb, cr] = [plane(-0.168736, -0.331264, 0.5), plane(0.5, -0.418688, -0.081312)].map(full => {
    const half = halved(full, width, height)
    return { ...half, plane: rounded(half.plane, half.width, half.height, steps(chroma)) }
  }) as [Half, Half]
  const bright = rounded(y, width, height, steps(luminance))
  const out = new Float32Array(3 * area)
  for (let i = 0; i < area; i++) {
    const small = (Math.floor(i / width) >> 1) * cb.width + ((i % width) >> 1)
    const [l, b, r] = [bright[i]! + 128, cb.plane[small]!, cr.plane[small]!]
    const colours = [l + 1.402 * r, l - 0.344136 * b - 0.714136 * r, l + 1.772 * b]
    for (const [c, value] of colours.entries()) out[c * area + i] = Math.round(Math.min(Math.max(value, 0), 255)) / 255
  }
  return out
}

interface Half {
  readonly plane: Float64Array
  readonly width: number
  readonly height: number
}

/** Means of 2x2, the edge counted twice where a side is odd. */
function halved(plane: Float64Array, width: number, height: number): Half {
  const [w, h] = [Math.ceil(width / 2), Math.ceil(height / 2)]
  const at = (x: number, y: number) => plane[Math.min(y, height - 1) * width + Math.min(x, width - 1)]!
  const half = Float64Array.from({ length: w * h }, (_, i) => {
    const [x, y] = [2 * (i % w), 2 * Math.floor(i / w)]
    return (at(x, y) + at(x + 1, y) + at(x, y + 1) + at(x + 1, y + 1)) / 4
  })
  return { plane: half, width: w, height: h }
}

/** A plane whose blocks of 8x8 have coefficients that are multiples of `steps`; beyond the edge it goes on as there. */
function rounded(plane: Float64Array, width: number, height: number, steps: readonly number[]): Float64Array {
  const out = new Float64Array(plane.length)
  const block = new Float64Array(64)
  for (let top = 0; top < height; top += 8) {
    for (let left = 0; left < width; left += 8) {
      for (let i = 0; i < 64; i++) {
        block[i] = plane[Math.min(top + (i >> 3), height - 1) * width + Math.min(left + (i % 8), width - 1)]!
      }
      const coefficients = transformed(transformed(block, false), false)
      const kept = coefficients.map((value, i) => Math.round(value / steps[i]!) * steps[i]!)
      const back = transformed(transformed(kept, true), true)
      for (let i = 0; i < 64; i++) {
        const [x, y] = [left + (i % 8), top + (i >> 3)]
        if (x < width && y < height) out[y * width + x] = back[i]!
      }
    }
  }
  return out
}

/** Columns transformed (or back) and laid as rows: twice is the whole transform of a block. */
function transformed(block: Float64Array, back: boolean): Float64Array {
  const out = new Float64Array(64)
  for (let column = 0; column < 8; column++) {
    for (let i = 0; i < 8; i++) {
      let sum = 0
      for (let k = 0; k < 8; k++) sum += cosines[back ? k * 8 + i : i * 8 + k]! * block[k * 8 + column]!
      out[column * 8 + i] = sum
    }
  }
  return out
}
