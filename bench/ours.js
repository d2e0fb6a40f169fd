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

let step
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'end') {
    console.log(peakMegabytes())
    process.exit()
  } else if (step === undefined) {
    const spec = JSON.parse(line)
    step = await steps[spec.kind](spec)
    console.log(0)
  } else {
    const begin = performance.now()
    await step()
    console.log(performance.now() - begin)
  }
}
