import { LatentkitError } from '../../platform/errors.js'
import type { Executable, HostTensors, RunOptions } from '../../runtime/index.js'
import type { Program } from '../../tensor/program.js'

type Compile = (program: Program, steady?: readonly string[]) => Promise<Executable>

/**
 * Compiles programs so that only one of them is on the device: each when it is run, in place of the one before. Runs wait
 * for one another.
 */
export function inTurn(compile: Compile): Compile {
  let loaded: Executable | undefined
  let last: Promise<unknown> = Promise.resolve()
  const next = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = last.then(work)
    last = turn.catch(() => {})
    return turn
  }
  const free = async () => {
    const before = loaded
    loaded = undefined
    await before?.dispose()
  }
  return async (program, steady) => {
    let disposed = false
    const run = (inputs: HostTensors, options?: RunOptions) =>
      next(async () => {
        if (disposed) throw new LatentkitError('The executable has been disposed')
        if (loaded?.program !== program) {
          await free()
          loaded = await compile(program, steady)
        }
        return loaded(inputs, options)
      })
    const dispose = () =>
      next(async () => {
        disposed = true
        if (loaded?.program === program) await free()
      })
    return Object.assign(run, { program, dispose, [Symbol.asyncDispose]: dispose })
  }
}
