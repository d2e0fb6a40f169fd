import type { VqConfig } from '../../autoencoder/config.js'
import type { HostTensors, Processes, TrainingState } from '../../runtime/index.js'
import type { Checkpoint } from '../../weights/checkpoint.js'
import { fromFloat32, toFloat32 } from '../../weights/dtypes.js'
import { expectTensors } from '../../weights/expect-tensors.js'
import type { TensorToWrite } from '../../weights/safetensors.js'
import { streamOf } from '../streams.js'
import type { CodebookSettings } from './loss.js'
import { codebookOutputs } from './programs.js'
import { stageScope } from './training.js'

/** Of each code: how often it was chosen and the sum of the latents that chose it, as running means. */
export interface RunningCodes {
  readonly size: Float32Array
  /** [codes, width]. */
  readonly sum: Float32Array
}

/** Running means after a batch. Source: van den Oord et al. 2017, eq. 6 and 7. */
export function runningCodes(
  before: RunningCodes,
  counts: Float32Array,
  sums: Float32Array,
  decay: number,
): RunningCodes {
  const run = (old: Float32Array, now: Float32Array) => old.map((value, i) => decay * value + (1 - decay) * now[i]!)
  return { size: run(before.size, counts), sum: run(before.sum, sums) }
}

/** Codes [codes, width] as means of the latents that chose them; sizes are smoothed, so that none is 0. */
export function meansOf({ size, sum }: RunningCodes, epsilon: number): Float32Array {
  const codes = size.length
  const width = sum.length / codes
  const total = size.reduce((a, b) => a + b, 0)
  const smooth = (n: number) => ((n + epsilon) / (total + codes * epsilon)) * total
  return sum.map((value, i) => value / smooth(size[Math.floor(i / width)]!))
}

export interface CodebookOptions {
  readonly config: VqConfig
  readonly settings: CodebookSettings
  readonly seed: number
  readonly state: TrainingState
  readonly processes: Processes
  readonly resume?: Checkpoint | undefined
}

/** Moves codes from outside of the training step. */
export interface Codebook {
  /** Takes what a batch says of the codes. */
  take(outputs: HostTensors): void
  /** Moves the codes after a step, counted from 0. */
  learn(step: number): Promise<void>
  /** What a checkpoint holds of it. */
  tensors(): Map<string, TensorToWrite>
}

const prefix = 'codebook.'
const parameter = `${stageScope}.quantize.embedding.weight`

/** A codebook as it begins, its codes being those of the training state, or as a checkpoint has it. */
export async function openCodebook(options: CodebookOptions): Promise<Codebook> {
  const { config, settings, seed, state, processes, resume } = options
  const { n_embed: codes, embed_dim: width } = config
  const { ema, revive_after } = settings
  const read = async (array: string) => (await state.read(array, [parameter])).get(parameter)!
  let idle = new Float32Array(codes)
  let running: RunningCodes | undefined = ema && { size: new Float32Array(codes).fill(1), sum: await read('parameter') }
  const shapes = new Map<string, readonly number[]>([['idle', [codes]]])
  if (ema) shapes.set('size', [codes]).set('sum', [codes, width])
  if (resume) {
    const tensors = resume.training?.tensors ?? new Map()
    expectTensors({ name: resume.name, tensors }, shapes, { what: 'the codebook', prefix })
    const stored = async (name: string) => toFloat32(await resume.readTraining(prefix + name))
    idle = Float32Array.from(await stored('idle'))
    if (ema) running = { size: await stored('size'), sum: await stored('sum') }
  }

  const counts = new Float32Array(codes)
  const sums = new Float32Array(codes * width)
  let rows = new Float32Array(0)

  /** Puts codes that have been idle for too long where latents of the first process's last batch are. */
  async function revive(step: number, latest: Float32Array | undefined): Promise<void> {
    const dead = [...idle.keys()].filter(code => idle[code]! >= revive_after!)
    if (dead.length === 0) return
    const chosen = streamOf(seed, 'codebook', step).randint(0, rows.length / width, dead.length)
    const mine = processes.rank === 0 ? 1 : 0
    const found = await processes.sum(
      Array.from(chosen).flatMap(row => Array.from(rows.subarray(row * width, (row + 1) * width), x => x * mine)),
    )
    const moved = new Map<string, Float32Array>()
    // Moments of the old place would pull a code away from the new one.
    for (const array of state.arrays) moved.set(array, array === 'parameter' && latest ? latest : await read(array))
    for (const [i, code] of dead.entries()) {
      const place = Float32Array.from(found.slice(i * width, (i + 1) * width))
      const still = new Float32Array(width)
      for (const [array, values] of moved) {
        values.set(array === 'parameter' || array === 'ema' ? place : still, code * width)
      }
      running?.sum.set(place, code * width)
      running?.size.fill(1, code, code + 1)
      idle[code] = 0
    }
    for (const [array, values] of moved) await state.write(array, new Map([[parameter, values]]))
  }

  return {
    take(outputs) {
      const of = (name: string) => outputs[name]?.data as Float32Array | undefined
      for (const [i, count] of (of(codebookOutputs.counts) ?? []).entries()) counts[i]! += count
      for (const [i, value] of (of(codebookOutputs.sums) ?? []).entries()) sums[i]! += value
      rows = Float32Array.from(of(codebookOutputs.rows) ?? [])
    },
    async learn(step) {
      const all = await processes.sum([...counts, ...(ema ? sums : [])])
      const used = Float32Array.from(all.slice(0, codes))
      let latest: Float32Array | undefined
      if (running && ema) {
        running = runningCodes(running, used, Float32Array.from(all.slice(codes)), ema.decay)
        latest = meansOf(running, ema.epsilon)
        await state.write('parameter', new Map([[parameter, latest]]))
      }
      idle = idle.map((steps, code) => (used[code]! > 0 ? 0 : steps + 1))
      if (revive_after !== undefined) await revive(step, latest)
      counts.fill(0)
      sums.fill(0)
    },
    tensors: () =>
      new Map(
        Object.entries({ idle, ...running }).map(([name, values]) => [
          prefix + name,
          fromFloat32(values, shapes.get(name)!),
        ]),
      ),
  }
}
