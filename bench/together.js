// Training on several processes: how much of its speed each keeps.
//   npm run build && mpirun -n 2 --oversubscribe node bench/together.js [--channels 96] [--batch 16] [--rounds 9]
// Steps of all processes together, one thread each, take turns with steps of the first one alone, so that whatever else
// the machine does falls on both alike. Efficiency is the time of a step alone over that of a step together: by the
// clock, and by the processor's time, which is comparable where others use the machine as well.
import { parseArgs } from 'node:util'
import { hostTensor, openDevice } from '../dist/runtime/index.js'
import { trace } from '../dist/tensor/program.js'
import { mean } from '../dist/tensor/reduce.js'
import { f32 } from '../dist/tensor/tensor.js'
import { square } from '../dist/tensor/unary.js'
import { openLearner } from '../dist/train/learner.js'
import { trainingSettings } from '../dist/train/settings.js'
import { unetConfig } from '../dist/unet/config.js'
import { unet } from '../dist/unet/unet.js'

const number = { type: 'string' }
const { values } = parseArgs({ options: { channels: number, batch: number, rounds: number } })
const { channels = '96', batch = '16', rounds = '9' } = values

const config = unetConfig.parse({
  in_channels: 4,
  out_channels: 4,
  model_channels: Number(channels),
  channel_mult: [1, 2, 2],
  num_res_blocks: 1,
  attention_resolutions: [2, 4],
  num_head_channels: 32,
})
const shape = [Number(batch), 4, 16, 16]
const program = trace({ x: f32(...shape), t: f32(shape[0]) }, (at, { x, t }) => ({
  loss: mean(square(unet(at, config, { x, t }))),
}))
const inputs = {
  x: hostTensor(
    Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i)),
    shape,
  ),
  t: hostTensor(Float32Array.from({ length: shape[0] }, (_, i) => i)),
}
const settings = trainingSettings.parse({ steps: 1000, batch: shape[0], learning_rate: 1e-5, clip: 1, ema: {} })

async function training(joined) {
  const device = await openDevice('cpu', { threads: 1 })
  const processes = joined ? await device.join() : undefined
  const info = { library: '', config: {} }
  const learner = await openLearner({ device, program, frozen: new Map(), settings, path: '', info })
  const step = async () => {
    await learner.accumulate(inputs, 1)
    await learner.update(1e-5)
  }
  return { processes, learner, step }
}

/** Milliseconds of the clock and of the processor that something takes. */
async function timed(run) {
  const before = process.cpuUsage()
  const start = performance.now()
  await run()
  const { user, system } = process.cpuUsage(before)
  return { clock: performance.now() - start, processor: (user + system) / 1000 }
}

const median = values => values.toSorted((a, b) => a - b)[values.length >> 1]

const together = await training(true)
const { rank, size } = together.processes
const alone = rank === 0 ? await training(false) : undefined
const times = { alone: [], together: [] }
for (let round = -2; round < Number(rounds); round++) {
  const one = alone && (await timed(alone.step))
  await together.processes.barrier()
  const all = await timed(together.step)
  if (round < 0) continue
  if (one) times.alone.push(one)
  times.together.push(all)
}
if (rank === 0) {
  console.log(
    `${(together.learner.parameters / 1e6).toFixed(1)}M parameters, batch ${batch} a process, ${size} processes`,
  )
  for (const kind of ['clock', 'processor']) {
    const [one, all] = [times.alone, times.together].map(list => median(list.map(time => time[kind])))
    const share = (one / all).toFixed(3)
    console.log(`${kind.padEnd(9)}  alone ${one.toFixed(0)} ms, together ${all.toFixed(0)} ms: efficiency ${share}`)
  }
}
await together.processes.leave()
process.exit(0)
