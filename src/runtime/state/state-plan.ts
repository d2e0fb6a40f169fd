import { emitProgram } from '../../compiler/emit.js'
import { lower } from '../../compiler/lower.js'
import type { Program } from '../../tensor/program.js'
import { open } from '../../tensor/shape.js'
import type { DeviceHost } from '../device-host.js'
import type { StateSpec } from '../engine/engine-calls.js'
import { compileElementwise } from './elementwise.js'
import { accumulationProgram, copyProgram, rowLength, sumOfSquaresProgram, updatedName } from './flatten.js'
import { type Layout, layOut } from './layout.js'
import { type Averaging, type Optimiser, updateProgram } from './optimiser.js'

export interface StatePlan {
  readonly spec: StateSpec
  /** Where the parameters lie in flat arrays that programs must be written for; undefined where they are fed by name. */
  readonly layout: Layout | undefined
}

/** What the worker makes a training state of: WebAssembly for the processor's memory, graphs for the device's own. */
export function planState(
  { target, limits }: DeviceHost,
  parameters: readonly { readonly name: string; readonly shape: readonly number[] }[],
  optimiser: Optimiser,
  averaging: Averaging | undefined,
): StatePlan {
  const kernel = compileElementwise(updateProgram(optimiser, averaging))
  const places = parameters.map(({ name, shape }) => ({ name, shape: [...shape] }))
  const spec = { parameters: places, arrays: kernel.arrays, scalars: kernel.scalars }
  if (target.device !== 'webgpu') return { spec: { ...spec, update: { kernel: kernel.bytes } }, layout: undefined }
  const limit = (limits?.buffer ?? Number.POSITIVE_INFINITY) / 4
  const layout = layOut(places, limit, rowLength)
  const emit = (program: Program) => emitProgram(lower(program, { ...target, training: true })).bytes
  const graphs = {
    update: emit(withOutputNames(updateProgram(optimiser, averaging, [open]), updatedName)),
    accumulate: emit(accumulationProgram),
    sumOfSquares: emit(sumOfSquaresProgram(layout.lengths)),
    copy: emit(copyProgram),
    limit,
    alignment: rowLength,
  }
  return { spec: { ...spec, update: { graphs } }, layout }
}

const withOutputNames = (program: Program, rename: (name: string) => string): Program => ({
  ...program,
  outputs: Object.fromEntries(Object.entries(program.outputs).map(([name, tensor]) => [rename(name), tensor])),
})
