import { now } from '#platform'
import { inlineCheckpoints } from '../../autodiff/checkpoint.js'
import { gradients } from '../../autodiff/gradients.js'
import { candidates, describeUse, usesWithChoice } from '../../compiler/tuning.js'
import { type Tuned, useOf } from '../../compiler/use.js'
import { type Program, trace } from '../../tensor/program.js'
import { transpose } from '../../tensor/reshape.js'
import { sizeOf } from '../../tensor/shape.js'
import type { Spec, Tensor } from '../../tensor/tensor.js'
import { topological } from '../../tensor/walk.js'
import { targetOf } from '../channel-block.js'
import { compileModel } from '../compile.js'
import type { DeviceHost } from '../device-host.js'
import { type Executable, makeExecutable } from '../executable.js'
import { hostTensor } from '../host-tensor.js'
import { readTuning, writeTuning } from './tuning-cache.js'

export interface TuneOptions {
  /** Times each candidate is run, in turn with the others; 3 by default. The best counts. */
  readonly rounds?: number
  /** The parameters whose gradients count; all by default. */
  readonly trained?: readonly string[] | undefined
  readonly signal?: AbortSignal | undefined
}

/** One use of an operation, with the milliseconds of everything that it can be lowered to. */
export interface TunedUse {
  readonly use: string
  readonly description: string
  readonly milliseconds: Readonly<Record<string, number>>
  readonly fastest: string
  /** How many uses have been measured, this one included, and how many there are. */
  readonly done: number
  readonly total: number
}

const spatialFirst = [2, 3, 0, 1]
const isImage = ({ shape }: Spec) => shape.length === 4

/**
 * A program of one operation. Images come and go as lowered networks hold them, [height, width, batch, channels], so that
 * a lowering in another layout pays for turning them; the weight of a convolution lies as it is.
 */
function alone({ op, inputs, attributes, shape, dtype }: Tensor): Program {
  const weighs = op.name === 'conv2dWeightGradient'
  const turned = (i: number) => isImage(inputs[i]!) && (i === 0 || weighs)
  const specs = inputs.map(({ dtype, shape }, i): [string, Spec] => [
    `input${i}`,
    { dtype, shape: turned(i) ? spatialFirst.map(axis => shape[axis]!) : shape },
  ])
  return trace(Object.fromEntries(specs), (_, given) => {
    const operands = inputs.map((_, i) =>
      turned(i) ? transpose(given[`input${i}`]!, spatialFirst) : given[`input${i}`]!,
    )
    const result: Tensor = { op, inputs: operands, attributes, shape, dtype }
    return isImage(result) && !weighs ? transpose(result, spatialFirst) : result
  })
}

/** Measures the uses of a program, and with an output `loss` those of its gradients. */
export async function* tuneProgram(
  host: DeviceHost,
  program: Program,
  { rounds = 3, trained, signal }: TuneOptions,
): AsyncGenerator<TunedUse> {
  const training = program.outputs.loss !== undefined
  const target = await targetOf(host, training)
  const whole = training ? gradients(program, trained) : program
  const uses = usesWithChoice(topological(inlineCheckpoints(Object.values(whole.outputs))), target)
  let done = 0
  for (const [use, node] of uses) {
    const single = alone(node)
    const inputs = Object.fromEntries(
      Object.entries(single.inputs).map(([name, { shape }]) => [
        name,
        hostTensor(
          Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(i)),
          shape,
        ),
      ]),
    )
    const runs = new Map<string, Executable>()
    const best = new Map<string, number>()
    try {
      for (const name of candidates(node, target)) {
        const one = { ...host, target: { ...host.target, tuned: { [useOf(node)]: name } } }
        const model = await compileModel(one, single, { training, weights: new Map() })
        runs.set(name, await makeExecutable(one, single, model))
        await runs.get(name)!(inputs, { signal })
      }
      for (let round = 0; round < rounds; round++) {
        for (const [name, run] of runs) {
          const begin = now()
          await run(inputs, { signal })
          best.set(name, Math.min(best.get(name) ?? Number.POSITIVE_INFINITY, now() - begin))
        }
      }
    } finally {
      for (const run of runs.values()) await run.dispose()
    }
    const [fastest] = [...best].reduce((a, b) => (b[1] < a[1] ? b : a))
    done++
    yield {
      use,
      description: describeUse(node),
      milliseconds: Object.fromEntries(best),
      fastest,
      done,
      total: uses.size,
    }
  }
}

/** The choices among what the cache holds. */
export function tunedFrom(results: unknown): Tuned | undefined {
  if (typeof results !== 'object' || results === null) return undefined
  return Object.fromEntries(Object.entries(results).filter(([, name]) => typeof name === 'string'))
}

/** Adds choices to those that are kept for a device and returns the file's path. */
export const keepTuning = async (device: string, tuned: Tuned): Promise<string> =>
  writeTuning(device, { ...tunedFrom(await readTuning(device)), ...tuned })
