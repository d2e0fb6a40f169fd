import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { hostname, uptime } from 'node:os'
import { dirname } from 'node:path'
import { FileError, InUseError } from '../errors.js'

interface Holder {
  readonly pid: number
  readonly host: string
  /** Milliseconds since 1970. */
  readonly since: number
}

export async function lockFile(path: string, what: string): Promise<() => Promise<void>> {
  const mine: Holder = { pid: process.pid, host: hostname(), since: Date.now() }
  await mkdir(dirname(path), { recursive: true })
  for (;;) {
    const taken = await writeFile(path, JSON.stringify(mine), { flag: 'wx' }).then(
      () => false,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'EEXIST') return true
        throw new FileError(path, `cannot be written: ${error.message}`, { cause: error })
      },
    )
    if (!taken) return () => rm(path, { force: true })
    const holder = await holderOf(path)
    if (holder && isAtWork(holder)) {
      const { pid, host, since } = holder
      throw new InUseError(
        path,
        `${what} is in use by process ${pid} on ${host} since ${new Date(since).toISOString()}: wait for it, choose ` +
          'another place, or delete this file if that process has ended',
      )
    }
    await rm(path, { force: true })
  }
}

/** What a lock says; undefined where it says nothing, left by a process that died as it began. */
async function holderOf(path: string): Promise<Holder | undefined> {
  try {
    const { pid, host, since } = JSON.parse(await readFile(path, 'utf8')) as Partial<Holder>
    return typeof pid === 'number' && typeof host === 'string' && typeof since === 'number'
      ? { pid, host, since }
      : undefined
  } catch {
    return undefined
  }
}

/** Of processes on other machines nobody knows; on this one those from before it was started have ended. */
function isAtWork({ pid, host, since }: Holder): boolean {
  if (host !== hostname()) return true
  return since > Date.now() - uptime() * 1000 && isAlive(pid)
}

/** Whether a process of this machine lives. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
