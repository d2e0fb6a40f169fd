// A process that computes one step of a case for each line it is sent, and answers with the milliseconds it took.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/** Starts it; the first line that it is sent is the case. Rejected where it ends before it is ready. */
export async function startChild(command, args, spec) {
  // Threads that wait for one another without sleeping would count as work.
  const env = spec.clock === 'cpu' ? { ...process.env, OMP_WAIT_POLICY: 'passive', GOMP_SPINCOUNT: '0' } : process.env
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env })
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', code => (code === 0 ? resolve() : reject(new Error(`${command} ended with code ${code}`))))
  })
  ended.catch(() => {})
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const answer = async line => {
    child.stdin.write(`${line}\n`)
    const { value, done } = await lines.next()
    if (!done) return Number(value)
    await ended
    throw new Error(`${command} said nothing`)
  }
  await answer(JSON.stringify(spec))
  return {
    step: () => answer('step'),
    /** Ends it; its peak memory in MB. */
    async end() {
      const megabytes = await answer('end')
      await ended
      return megabytes
    },
  }
}
