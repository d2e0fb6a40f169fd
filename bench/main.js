// npm run bench [-- words of the cases' names] [--json] [--cpu] [--quick]
// --cpu counts the processor's time in all threads: what is comparable where others use the machine as well.
// --quick measures two steps of each case. What has no peer is always measured by the clock, in all its steps.
// Both sides of a case run at once in processes of their own and take turns step by step, so that whatever else the
// machine does falls on both alike; medians are compared.
import { execFileSync } from 'node:child_process'
import { availableParallelism, cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { alone, cases } from './cases.js'
import { startChild } from './child.js'

const args = process.argv.slice(2)
const json = args.includes('--json')
const clock = args.includes('--cpu') ? 'cpu' : 'wall'
const quick = args.includes('--quick')
const words = args.filter(arg => !arg.startsWith('--'))
const python = process.env.PYTHON ?? 'python3'
const here = file => fileURLToPath(new URL(file, import.meta.url))

const torch = (() => {
  try {
    const script = 'import torch; print(torch.__version__)'
    return execFileSync(python, ['-c', script], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return undefined
  }
})()

const startOurs = spec => startChild(process.execPath, [here('ours.js')], spec)
const startPeer = spec => startChild(python, [here('peer/main.py')], spec)

const median = values => values.toSorted((a, b) => a - b)[values.length >> 1]

async function measure(spec) {
  const compared = torch !== undefined && !alone.includes(spec.kind)
  const sides = [await startOurs(spec), ...(compared ? [await startPeer(spec)] : [])]
  const times = sides.map(() => [])
  // Emission is measured as a user has it, with no step before; elsewhere the first steps allocate.
  const warmup = spec.kind === 'emission' ? 0 : spec.kind === 'generate' ? 1 : 2
  for (let i = -warmup; i < spec.steps; i++) {
    for (const [side, { step }] of sides.entries()) {
      const time = await step()
      if (i >= 0) times[side].push(time)
    }
  }
  const peaks = []
  for (const side of sides) peaks.push(await side.end())
  report(spec.name, times.map(median), 'ms')
  if (spec.memory && !peaks.some(Number.isNaN)) report(`${spec.name}: memory`, peaks, 'MB')
}

function report(name, [ours, peer], unit) {
  const round = x => (x === undefined ? null : Number(x.toPrecision(4)))
  const ratio = peer === undefined ? null : Number((ours / peer).toFixed(3))
  if (json) return console.log(JSON.stringify({ name, ours: round(ours), peer: round(peer), ratio }))
  const cells = [ours, peer].map(x => (x === undefined ? '-' : `${round(x)} ${unit}`).padStart(12))
  console.log(`${name.padEnd(66)} ${cells.join(' ')} ${(ratio ?? '').toString().padStart(7)}`)
}

if (!json) {
  console.log(
    `${cpus()[0].model}, ${availableParallelism()} cores; Node ${process.version}; peer: ${torch ? `PyTorch ${torch}` : `none, ${python} has no torch`}`,
  )
  console.log(`${''.padEnd(66)} ${'ours'.padStart(12)} ${'peer'.padStart(12)} ${'ratio'.padStart(7)}`)
}
for (const spec of cases) {
  if (words.every(word => spec.name.includes(word)))
    await measure(
      alone.includes(spec.kind) ? { ...spec, clock: 'wall' } : { ...spec, clock, ...(quick && { steps: 2 }) },
    )
}
