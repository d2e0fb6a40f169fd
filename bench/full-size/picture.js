// A picture of 512x512 by a model of Stable Diffusion 1.5's size, from process start to PNG, in 4 steps without guidance:
//   npm run build && node bench/full-size/picture.js [CHECKPOINT] [-- flags of generate]
// Without a checkpoint one with random weights is written to the folder for temporary files, 2 GB, and left there for the
// next time. Tells the clock, the processor's time and the peak of resident memory, for several ways to hold the weights.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { writeRandomCheckpoint } from './random-checkpoint.js'

const [given] = process.argv.slice(2)
const own = process.argv.indexOf('--')
const checkpoint = given && given !== '--' ? given : join(tmpdir(), 'latentkit-sd15-random.safetensors')
if (!existsSync(checkpoint)) await writeRandomCheckpoint(checkpoint)

const command = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const out = join(tmpdir(), 'latentkit-bench-picture.png')
const settings = ['--steps', '4', '--guidance', '1', '--sampler', 'lcm', '--width', '512', '--height', '512']

/** Seconds of the processor so far and the peak in MB of a process that runs, as Linux tells them. */
function usage(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ')
    const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024
    return { processor: (Number(fields[11]) + Number(fields[12])) / 100, peak }
  } catch {
    return undefined
  }
}

async function measure(flags) {
  const begun = performance.now()
  const argv = [command, 'generate', 'a lighthouse', '-m', checkpoint, '-o', out, '--seed', '1', '--no-show']
  const child = spawn(process.execPath, [...argv, ...settings, ...flags], { stdio: ['ignore', 'ignore', 'inherit'] })
  let last
  const timer = setInterval(() => {
    last = usage(child.pid) ?? last
  }, 50)
  const code = await new Promise(resolve => child.once('exit', resolve))
  clearInterval(timer)
  const clock = (performance.now() - begun) / 1000
  const told = last && `, processor ${last.processor.toFixed(1)} s, peak ${last.peak.toFixed(0)} MB`
  console.log(`${flags.join(' ').padEnd(32)} ${code === 0 ? `${clock.toFixed(1)} s${told ?? ''}` : `failed: ${code}`}`)
}

const ways =
  own >= 0
    ? [process.argv.slice(own + 1)]
    : ['f32', 'f16', 'int8', 'int4'].map(weights => ['--weights', weights, '--memory', 'small'])
for (const flags of ways) await measure(flags)
