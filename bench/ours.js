// Our side of one case, in the protocol of child.js.
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { steps } from './steps.js'

// Where the system does not tell the peak it is not a number.
const peakMegabytes = () => {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024
  } catch {
    return Number.NaN
  }
}

/** Milliseconds so far: of the clock, or of the processor in all threads. */
const now = clock => {
  if (clock === 'wall') return performance.now()
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

let step
let clock
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'end') {
    console.log(peakMegabytes())
    process.exit()
  } else if (step === undefined) {
    const spec = JSON.parse(line)
    step = await steps[spec.kind](spec)
    clock = spec.clock
    console.log(0)
  } else {
    const begin = now(clock)
    await step()
    console.log(now(clock) - begin)
  }
}
