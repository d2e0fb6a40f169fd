import { sharedNorms } from '../../../nn/shared-norms.js'
import { type Executable, type HostTensor, type HostTensors, hostTensor } from '../../../runtime/index.js'
import type { Program } from '../../../tensor/program.js'
import { blend, cut, grid, type Sides } from './grid.js'

/** How far tiles reach into one another, as a share of their sides. */
const overlap = 0.25

/** What a network that makes pictures of others is told and asked, and how its tiles lie. */
export interface TileOptions {
  readonly input: string
  readonly output: string
  /** What places are multiples of. */
  readonly unit: number
  readonly wraps: readonly [boolean, boolean]
  readonly signal?: AbortSignal | undefined
}

/**
 * What a network that makes pictures of other sizes out of [batch, channels, height, width] makes of them: at once where it
 * is of their size, else by overlapping tiles, each fading into the next. Norms over the whole picture are what tiles would
 * show their seams by: where the network takes their statistics, those of the picture made as small as a tile are handed in.
 */
export async function tiled(
  run: Executable,
  x: HostTensor,
  { input, output, unit, wraps, signal }: TileOptions,
): Promise<HostTensor> {
  const [batch, channels, ...sides] = x.shape as [number, number, number, number]
  const tile = run.program.inputs[input]!.shape.slice(2) as unknown as Sides
  if (String(tile) === String(sides)) return (await run({ [input]: x }, { signal }))[output]!
  const scale = run.program.outputs[output]!.shape[3]! / tile[1]
  const planes = batch * run.program.outputs[output]!.shape[1]!
  const [whole, inside] = [sides, tile].map(([h, w]) => [h * scale, w * scale] as const) as [Sides, Sides]
  const ramps = [0, 1].map(axis => (tile[axis] === sides[axis] ? 0 : overlap * inside[axis]!)) as [number, number]
  const merged = blend(planes, whole, inside, ramps)
  const on = (part: Float32Array, norms: HostTensors) =>
    run({ [input]: hostTensor(part, [batch, channels, ...tile]), ...norms }, { signal })
  const norms = given(await on(sampled(x.data as Float32Array, sides, tile), untold(run.program, batch)))
  for (const corner of grid(sides, tile, { overlap, unit, wraps })) {
    const made = await on(cut(x.data as Float32Array, sides, tile, corner), norms)
    merged.add(made[output]!.data as Float32Array, [corner[0] * scale, corner[1] * scale])
  }
  return hostTensor(merged.result(), [batch, planes / batch, ...whole])
}

/** What has each norm go by its own statistics. */
const untold = (program: Program, batch: number): HostTensors => ({
  shared: hostTensor(new Float32Array([0]), [1]),
  ...Object.fromEntries(
    sharedNorms(program).map(name => {
      const [, ...shape] = program.inputs[name]!.shape as [number, number, number]
      return [name, hostTensor(new Float32Array(batch * shape[0] * shape[1]), [batch, ...shape])]
    }),
  ),
})

/** What has all norms go by the statistics that a run has told. */
const given = (told: HostTensors): HostTensors => ({
  shared: hostTensor(new Float32Array([1]), [1]),
  ...Object.fromEntries(
    Object.entries(told).flatMap(([name, tensor]) => (name.endsWith('_own') ? [[name.slice(0, -4), tensor]] : [])),
  ),
})

/** Planes made smaller by leaving points out, which keeps mean and variance. */
function sampled(data: Float32Array, [height, width]: Sides, [h, w]: Sides): Float32Array {
  const out = new Float32Array((data.length / (height * width)) * h * w)
  for (let i = 0; i < out.length; i++) {
    const [plane, y, x] = [Math.floor(i / (h * w)), Math.floor(i / w) % h, i % w]
    out[i] =
      data[(plane * height + Math.floor(((y + 0.5) * height) / h)) * width + Math.floor(((x + 0.5) * width) / w)]!
  }
  return out
}
