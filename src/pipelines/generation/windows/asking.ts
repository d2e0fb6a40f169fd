import { type HostTensor, type HostTensors, hostTensor } from '../../../runtime/index.js'
import { factorOf } from '../../model-config.js'
import { unitOf } from '../../settings/size.js'
import type { Told } from '../conditions/told.js'
import { type Ask, openAsking } from '../network/asking.js'
import { gathered } from '../network/rows.js'
import type { Batch, Stage } from '../stage.js'
import { blend, type Corner, cut, grid, type Sides } from './grid.js'
import { wrapsOf } from './variant.js'

/**
 * Opens the network of a batch so that it sees a large picture by overlapping windows, as many at once as a plan makes
 * pictures at once; where they overlap, predictions are averaged. Source: Bar-Tal et al. 2023, MultiDiffusion, eq. 5, with
 * all weights 1: a sampler's step is linear in the prediction, and what it adds is the same for all windows.
 */
export async function openWindowedAsking(stage: Stage, batch: Batch): Promise<Ask> {
  const { plan, model, parts } = stage
  const { config } = model
  const [images, channels, ...sides] = batch.shape
  const factor = factorOf(config)
  const { width, height } = parts.variant.window!
  const window: Sides = [height / factor, width / factor]
  const corners = grid(sides, window, {
    overlap: plan.windowOverlap,
    unit: unitOf(config) / factor,
    wraps: wrapsOf(parts.variant),
  })
  const most = Math.max(1, Math.floor(plan.batch / images))
  const groups = await Promise.all(
    Array.from({ length: Math.ceil(corners.length / most) }, async (_, i) => {
      const some = corners.slice(i * most, (i + 1) * most)
      const ask = await openAsking(stage, { ...batch, shape: [images * some.length, channels, ...window] })
      return { some, ask, toldOf: tellingWindows({ corners: some, sides, window }) }
    }),
  )
  return async (x, t, question) => {
    const rows = images * question.blocks.length
    const whole = hostTensor(x, [rows, channels, ...sides])
    const prediction = merging({ rows, planes: channels, sides, window })
    let attended: ReturnType<typeof merging> | undefined
    for (const { some, ask, toldOf } of groups) {
      const seen = inWindows(whole, { corners: some, sides, window }).data as Float32Array
      const reply = await ask(seen, t, { ...question, told: toldOf(question.told) })
      prediction.add(reply.prediction, some)
      if (reply.attended === undefined) continue
      const scale = window[0] / reply.attended.shape[1]!
      const smaller = (place: Sides): Sides => [place[0] / scale, place[1] / scale]
      attended ??= merging({ rows, planes: 1, sides: smaller(sides), window: smaller(window) })
      attended.add(reply.attended.data as Float32Array, some.map(smaller))
    }
    return {
      prediction: prediction.result(),
      attended: attended && hostTensor(attended.result(), [rows, ...attended.sides]),
    }
  }
}

/** Puts together what a network says of windows: each row of planes, of several windows at once. */
function merging({ rows, planes, sides, window }: { rows: number; planes: number; sides: Sides; window: Sides }) {
  const { add, result } = blend(rows * planes, sides, window)
  return {
    sides,
    result,
    add(values: Float32Array, corners: readonly Corner[]) {
      const parts = hostTensor(values, [rows * corners.length, planes, ...window])
      for (const [j, corner] of corners.entries()) {
        const mine = Array.from({ length: rows }, (_, row) => row * corners.length + j)
        add(gathered([parts], mine).data as Float32Array, corner)
      }
    },
  }
}

interface Windows {
  readonly corners: readonly Corner[]
  readonly sides: Sides
  readonly window: Sides
}

/** What is told of each picture, told of its windows. */
function tellingWindows(windows: Windows): (told: Told) => Told {
  const known = new WeakMap<HostTensors, Told>()
  return told => {
    const before = known.get(told.inputs)
    if (before) return before
    const entries = Object.entries(told.inputs).map(([name, tensor]) => [name, inWindows(tensor, windows)])
    const made = { ...told, inputs: Object.fromEntries(entries) }
    known.set(told.inputs, made)
    return made
  }
}

/** Each row once for each window: of what has height and width, of whatever scale, that part; all else as it is. */
function inWindows(tensor: HostTensor, { corners, sides, window }: Windows): HostTensor {
  const [rows, ...shape] = tensor.shape as [number, ...number[]]
  const each = Array.from({ length: rows }, (_, row) => row)
  if (shape.length !== 3) {
    return gathered(
      [tensor],
      each.flatMap(row => corners.map(() => row)),
    )
  }
  const [planes, ...whole] = shape as [number, number, number]
  const scaled = (axis: 0 | 1, length: number) => (length * whole[axis]) / sides[axis]
  const part: Sides = [scaled(0, window[0]), scaled(1, window[1])]
  const size = planes * part[0] * part[1]
  const out = new Float32Array(rows * corners.length * size)
  for (const [j, [top, left]] of corners.entries()) {
    const seen = cut(tensor.data as Float32Array, whole, part, [scaled(0, top), scaled(1, left)])
    for (const row of each) out.set(seen.subarray(row * size, (row + 1) * size), (row * corners.length + j) * size)
  }
  return hostTensor(out, [rows * corners.length, planes, ...part])
}
