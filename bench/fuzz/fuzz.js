// Mutated files of every format by the number, in a process that may die of them.
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const reader = fileURLToPath(new URL('./child.js', import.meta.url))
const batch = 200

/**
 * Reads `count` mutated files from a seed on, and gives the outcome of each to `note`. One that ends its process, or
 * takes longer than `patience` milliseconds, is an outcome with a problem; the rest goes on in another process. `child` is
 * the script that reads.
 */
export async function fuzz({ count, first = 1, patience = 60_000, child = reader, note }) {
  let next = first
  const end = first + count
  while (next < end) {
    const crashed = await new Promise(resolve => {
      // A file of some kilobytes has no business with more.
      const worker = fork(child, {
        execArgv: ['--max-old-space-size=512'],
        stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
      })
      let begun
      let complaint = ''
      let reason
      let timer
      const watch = (limit = patience) => {
        clearTimeout(timer)
        timer = setTimeout(() => {
          reason = `takes more than ${limit / 1000} s`
          worker.kill('SIGKILL')
        }, limit)
      }
      // Until its first word it is only being loaded.
      watch(Math.max(patience, 60_000))
      worker.stderr.on('data', text => (complaint = (complaint + text).slice(-2000)))
      worker.on('message', ({ begun: seed, outcome, done }) => {
        watch()
        if (seed !== undefined) begun = seed
        if (outcome) {
          note(outcome)
          next = outcome.seed + 1
          begun = undefined
        }
        if (!done) return
        if (next >= end) return worker.disconnect()
        worker.send(Array.from({ length: Math.min(batch, end - next) }, (_, i) => next + i))
      })
      worker.on('exit', (code, signal) => {
        clearTimeout(timer)
        if (next >= end) return resolve(undefined)
        resolve({ seed: begun, problem: `${reason ?? `ends its process (${signal ?? code})`}: ${complaint}` })
      })
    })
    if (!crashed) continue
    if (crashed.seed === undefined) throw new Error(`The reading process ends by itself: ${crashed.problem}`)
    note({ name: 'unknown', kinds: [], accepted: false, seconds: 0, megabytes: 0, ...crashed })
    next = crashed.seed + 1
  }
}
