/** Thresholds of the gradient, |dx| + |dy| of Sobel's filters over values from 0 to 255. */
export interface EdgeOptions {
  /** Edges that touch a sure one are edges above this. */
  readonly low?: number
  /** Edges are sure above this. */
  readonly high?: number
}

/**
 * The edges of a picture as white lines one pixel wide: 1 or 0 for each pixel, [height, width] (Canny 1986). Gradients,
 * thresholds and suppression as in OpenCV's Canny over grey values, by which ControlNets are trained.
 *
 * @param pixels [3, height, width] in [-1, 1]
 * @throws RangeError where there are not as many.
 */
export function edges(
  pixels: Float32Array,
  width: number,
  height: number,
  { low = 100, high = 200 }: EdgeOptions = {},
): Float32Array {
  const area = width * height
  if (pixels.length !== 3 * area) {
    throw new RangeError(`edges: ${pixels.length} numbers are no picture of 3 channels and ${width}x${height} pixels`)
  }
  const grey = Float32Array.from({ length: area }, (_, i) => {
    const value = 0.299 * pixels[i]! + 0.587 * pixels[area + i]! + 0.114 * pixels[2 * area + i]!
    return Math.round((value + 1) * 127.5)
  })
  const { dx, dy } = sobel(grey, width, height)
  const length = dx.map((x, i) => Math.abs(x) + Math.abs(dy[i]!))
  const ridge = (i: number) => length[i]! > low && isRidge(length, dx[i]!, dy[i]!, i, width, height)

  const out = new Float32Array(area)
  const sure: number[] = []
  for (let i = 0; i < area; i++) {
    if (length[i]! <= high || !ridge(i)) continue
    out[i] = 1
    sure.push(i)
  }
  // What is less sure counts where it touches an edge, in any of eight directions.
  for (let i = sure.pop(); i !== undefined; i = sure.pop()) {
    for (const [x, y] of around(i % width, Math.floor(i / width))) {
      const next = y * width + x
      if (x < 0 || y < 0 || x >= width || y >= height || out[next] === 1 || !ridge(next)) continue
      out[next] = 1
      sure.push(next)
    }
  }
  return out
}

function* around(x: number, y: number): Generator<[number, number]> {
  for (let down = -1; down <= 1; down++) for (let right = -1; right <= 1; right++) yield [x + right, y + down]
}

function sobel(grey: Float32Array, width: number, height: number): { dx: Float32Array; dy: Float32Array } {
  const at = (x: number, y: number) =>
    grey[Math.min(height - 1, Math.max(0, y)) * width + Math.min(width - 1, Math.max(0, x))]!
  const dx = new Float32Array(grey.length)
  const dy = new Float32Array(grey.length)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const column = (x: number) => at(x, y - 1) + 2 * at(x, y) + at(x, y + 1)
      const row = (y: number) => at(x - 1, y) + 2 * at(x, y) + at(x + 1, y)
      dx[y * width + x] = column(x + 1) - column(x - 1)
      dy[y * width + x] = row(y + 1) - row(y - 1)
    }
  }
  return { dx, dy }
}

/** Slope of the border between the sectors in which a gradient is taken for horizontal and for diagonal. */
const tan22 = Math.tan(Math.PI / 8)

/** Whether the gradient is larger than on both sides along its direction; of two equal ones the first is taken. */
function isRidge(length: Float32Array, dx: number, dy: number, i: number, width: number, height: number): boolean {
  const [x, y] = [i % width, Math.floor(i / width)]
  const at = (x: number, y: number) => (x < 0 || y < 0 || x >= width || y >= height ? 0 : length[y * width + x]!)
  const [across, along] = [Math.abs(dx), Math.abs(dy)]
  if (along < tan22 * across) return length[i]! > at(x - 1, y) && length[i]! >= at(x + 1, y)
  if (along * tan22 > across) return length[i]! > at(x, y - 1) && length[i]! >= at(x, y + 1)
  const slant = dx * dy < 0 ? -1 : 1
  return length[i]! > at(x - slant, y - 1) && length[i]! > at(x + slant, y + 1)
}
