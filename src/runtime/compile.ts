import { emitProgram } from '../compiler/emit.js'
import { lower } from '../compiler/lower.js'
import type { Program } from '../tensor/program.js'
import { sizeOf } from '../tensor/shape.js'
import { targetOf } from './channel-block.js'
import type { DeviceHost } from './device-host.js'
import type { ModelSpec } from './engine/engine-calls.js'
import { checkFootprint } from './footprint.js'
import type { HostTensors } from './host-tensor.js'
import type { Weights } from './weights/numbers.js'
import type { WeightPrecision } from './weights/precision.js'
import { loadWeights } from './weights/weights.js'

/** What a model of a session is made with. */
export interface CompileOptions {
  readonly training: boolean
  /** Multiplies in f16. */
  readonly half?: boolean
  readonly weights: Weights
  /** In how many bits large weights are held. */
  readonly precision?: WeightPrecision | undefined
  /** What the program is a part of, if it is. */
  readonly network?: Program | undefined
  /** Parameters that are fed in every run. */
  readonly fed?: ReadonlySet<string>
}

/** A program as a session loads it. */
export interface CompiledModel {
  readonly model: Omit<ModelSpec, 'state'>
  /** Throws a LatentkitError for inputs with which the program would not fit on the device. */
  readonly checkSize: (inputs: HostTensors) => void
}

/** Bytes of weights up to which speed counts for more than memory: where it knows sizes the runtime joins more operations. */
const largeWeights = 2 ** 27

const isLarge = ({ parameters }: Program): boolean =>
  parameters.reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0) >= largeWeights

/**
 * A program as the model of a session.
 *
 * @throws LatentkitError where a weight is missing or the program does not fit on the device.
 */
export async function compileModel(
  host: DeviceHost,
  program: Program,
  { training, half = false, weights, precision = 'f32', fed = new Set(), network }: CompileOptions,
): Promise<CompiledModel> {
  const { name, limits, filesOnDisk } = host
  const loaded = await loadWeights(program, weights, { fed, filesOnDisk, inPlace: name === 'cpu', precision, network })
  const { small, externalData, held, folder } = loaded
  const target = await targetOf(host, training)
  const large = isLarge(program)
  const lowered = lower(loaded.program, { ...target, half, smallWeights: small, largeWeights: large })
  const open = Object.entries(program.inputs).find(([, { shape }]) => shape[0] === -1)?.[0]
  if (limits) checkFootprint(name, lowered, limits)
  const checkSize = (inputs: HostTensors) => {
    if (limits && open !== undefined) checkFootprint(name, lowered, limits, inputs[open]!.shape[0])
  }
  const { double = false } = host.target
  const { bytes } = emitProgram(lowered, {
    weights: parameter => loaded.bytes.get(parameter),
    settled: training || small,
    unplanned: large,
    double,
  })
  return {
    model: { bytes, externalData, held, folder, settled: training || small, double },
    checkSize,
  }
}
