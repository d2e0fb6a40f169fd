#!/usr/bin/env node
import { taskNames } from '../pipelines/tasks/names.js'
import { version } from '../platform/version.js'
import {
  type Command,
  commandHelp,
  failure,
  parseFlags,
  programHelp,
  success,
  suggest,
  UsageError,
  wantsHelp,
} from '../schema/index.js'
import type { Io } from './io.js'
import { printable } from './printable.js'

/** A command and what it does; what it returns is the data of its `--json`. */
interface Entry {
  readonly command: Command
  readonly run: (flags: never, io: Io) => Promise<unknown>
  /** The exit status that the result means, where it is not 0; such a command prints all of its JSON by itself. */
  readonly status?: (result: never) => number
}

/** Each is loaded only if it is called: most of the time of a short command is loading. */
const commands: Readonly<Record<string, () => Promise<Entry>>> = {
  async generate() {
    const { generateCommand, generate } = await import('./generate.js')
    return { command: generateCommand, run: generate }
  },
  ...Object.fromEntries(
    taskNames.map(name => [name, async () => (await import('./task.js')).taskCommand(name)] as const),
  ),
  async train() {
    const { trainCommand, train } = await import('./train.js')
    return { command: trainCommand, run: train }
  },
  async pull() {
    const { pullCommand, pull } = await import('./pull.js')
    return { command: pullCommand, run: pull }
  },
  async convert() {
    const { convertCommand, convert } = await import('./convert.js')
    return { command: convertCommand, run: convert }
  },
  async reconstruct() {
    const { reconstructCommand, reconstruct } = await import('./reconstruct.js')
    return { command: reconstructCommand, run: reconstruct }
  },
  async evaluate() {
    const { evaluateCommand, evaluate } = await import('./evaluate.js')
    return { command: evaluateCommand, run: evaluate }
  },
  async inspect() {
    const { inspectCommand, inspect } = await import('./inspect.js')
    return { command: inspectCommand, run: inspect }
  },
  async tune() {
    const { tuneCommand, tune } = await import('./tune.js')
    return { command: tuneCommand, run: tune }
  },
  async conformance() {
    const { conformanceCommand, runConformance } = await import('./conformance/index.js')
    return { command: conformanceCommand, run: runConformance, status: (status: number) => status }
  },
}

const summary = `latentkit ${version}: latent diffusion, from a folder of pictures to pictures of a sentence`

/** What tells a program whether a command failed, was called wrongly, or was stopped by Ctrl-C. */
const exit = { failure: 1, usage: 2, interrupted: 130 } as const

class Interrupted extends Error {
  override name = 'Interrupted'
}

/** Runs a command line and gives the exit status. */
async function main(argv: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = argv
  if (name === '--version' || name === '-V') {
    io.out(`${version}\n`)
    return 0
  }
  if (name === undefined || name === 'help' || wantsHelp([name])) {
    const all = await Promise.all(Object.values(commands).map(load => load()))
    io.out(
      programHelp(
        summary,
        all.map(({ command }) => command),
        columns(),
      ),
    )
    return 0
  }
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (load === undefined) {
    io.err(`latentkit: there is no command "${printable(name)}"; ${suggest(name, Object.keys(commands))}\n`)
    return exit.usage
  }
  const { command, run, status } = await load()
  if (wantsHelp(rest)) {
    io.out(commandHelp(command, columns()))
    return 0
  }
  const json = rest.includes('--json')
  try {
    const result = await run(parseFlags(command, rest) as never, io)
    if (json && !status) io.out(`${JSON.stringify(success(name, result ?? null))}\n`)
    if (io.signal.aborted) return exit.interrupted
    return status?.(result as never) ?? 0
  } catch (error) {
    if (io.signal.aborted && error === io.signal.reason) {
      io.err(`${io.terminal ? '\r\u001b[K' : ''}latentkit: stopped\n`)
      return exit.interrupted
    }
    const usage = error instanceof UsageError
    if (json && !status) io.out(`${JSON.stringify(failure(name, error))}\n`)
    else complain(io, `${usage ? '' : 'latentkit: '}${printable(messageOf(error))}`)
    return usage ? exit.usage : exit.failure
  }
}

const columns = () => Math.max(60, Math.min(process.stdout.columns ?? 80, 110))

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return process.env.LATENTKIT_DEBUG ? (error.stack ?? error.message) : error.message || error.name
}

const abort = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // The second one ends a command that does not listen.
  process.once(signal, () => abort.abort(new Interrupted('stopped')))
}
// Whoever reads no more, such as `head`, has seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : exit.failure))

/** Under mpirun the first process alone tells what is going on, but each what went wrong with it. */
const rank = Number(process.env.OMPI_COMM_WORLD_RANK ?? 0)
const complain = ({ terminal }: Io, message: string) =>
  process.stderr.write(`${terminal ? '\r\u001b[K' : ''}${rank > 0 ? `process ${rank}: ` : ''}${message}\n`)

process.exitCode = await main(process.argv.slice(2), {
  out: text => void (rank === 0 && process.stdout.write(text)),
  err: text => void (rank === 0 && process.stderr.write(text)),
  terminal: process.stderr.isTTY === true,
  clock: () => Date.now() / 1000,
  signal: abort.signal,
})
